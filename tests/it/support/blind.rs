//! An account that may read every table and sees no transactions of others.

use cupid::config::Engine;

use super::db::Db;

/// Its password.
pub const PASSWORD: &str = "pw";

/// The account; [`Blind::leave`] takes it away.
pub struct Blind {
    db: Db,
    pub user: String,
}

impl Blind {
    /// For the tables that are there now.
    pub async fn of(db: &Db) -> Self {
        let user = format!("blind_{}", db.name);
        db.run(match db.engine {
            Engine::MySql => format!(
                "CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT SELECT ON {}.* TO '{user}'@'%'",
                db.name
            ),
            _ => format!(
                "CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'; \
                 GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}"
            ),
        })
        .await;
        Self { db: db.clone(), user }
    }

    /// What a configuration's `dsn` says of it.
    pub fn url(&self) -> String {
        self.db.url_as(&self.user, PASSWORD)
    }

    pub async fn leave(self) {
        let user = &self.user;
        self.db
            .run(match self.db.engine {
                Engine::MySql => format!("DROP USER '{user}'@'%'"),
                _ => format!("DROP OWNED BY {user}; DROP ROLE {user}"),
            })
            .await;
    }
}
