//! Who types: the name that stands in the history unless another is given.

/// The user who is logged in.
pub(super) fn author(given: Option<String>) -> String {
    given.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| {
        let uid = rustix::process::getuid().as_raw();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let user = name_of(&passwd, uid)
            .or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
            .unwrap_or_else(|| format!("uid {uid}"));
        // Whoever works as somebody else is meant, not that somebody.
        match std::env::var("SUDO_USER") {
            Ok(person) if !person.is_empty() && person != user => format!("{person} as {user}"),
            _ => user,
        }
    })
}

fn name_of(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid) && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_comes_from_the_list_of_users() {
        let passwd = "root:x:0:0:root:/:/bin/sh\n\nbroken\nli:x:1000:1000::/:/bin/sh\n";
        assert_eq!(name_of(passwd, 1000).as_deref(), Some("li"));
        assert_eq!(name_of(passwd, 0).as_deref(), Some("root"));
        assert_eq!(name_of(passwd, 7), None);
        assert_eq!(author(Some(" Mei ".to_owned())), "Mei");
        assert!(!author(None).is_empty() && !author(Some(" ".to_owned())).is_empty());
    }
}
