//! What `-s` means for saved progress (DESIGN section 7).

use crate::model::{RowId, TaskName};

/// What the insert feed of a task does at this start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Goes on from saved progress; where there is none, starts at this id (`None`: the smallest).
    Resume(Option<RowId>),
    /// Leaves saved progress behind and starts at this id.
    Restart(RowId),
}

/// Decides for each task. `saved` holds the `-s` values under which the task's insert cursors were made.
///
/// Saved progress wins while `-s` has the value under which it was saved, so that a supervisor can pass the same
/// `-s` at every restart; another value starts there.
///
/// # Errors
/// The tasks that another `-s` would restart, if there are several tasks and none was named.
pub fn begin(
    tasks: &[(TaskName, Vec<Option<RowId>>)],
    start_id: Option<RowId>,
    named: Option<&TaskName>,
) -> Result<Vec<Begin>, Vec<TaskName>> {
    let mut refused = Vec::new();
    let begins = tasks
        .iter()
        .map(|(task, saved)| {
            let Some(start_id) = start_id else { return Begin::Resume(None) };
            if named.is_some_and(|named| named != task) {
                return Begin::Resume(None);
            }
            if saved.is_empty() || saved.iter().all(|s| *s == Some(start_id)) {
                return Begin::Resume(Some(start_id));
            }
            if tasks.len() > 1 && named.is_none() {
                refused.push(task.clone());
            }
            Begin::Restart(start_id)
        })
        .collect();
    if refused.is_empty() { Ok(begins) } else { Err(refused) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Option<RowId> = Some(RowId(1));
    const NINE: Option<RowId> = Some(RowId(9));

    fn task(name: &str, saved: &[Option<RowId>]) -> (TaskName, Vec<Option<RowId>>) {
        (TaskName::new(name), saved.to_vec())
    }

    #[test]
    fn saved_progress_wins_under_the_same_value() {
        assert_eq!(begin(&[task("a", &[ONE])], ONE, None), Ok(vec![Begin::Resume(ONE)]));
        assert_eq!(begin(&[task("a", &[ONE])], None, None), Ok(vec![Begin::Resume(None)]));
    }

    #[test]
    fn another_value_starts_there() {
        assert_eq!(begin(&[task("a", &[ONE])], NINE, None), Ok(vec![Begin::Restart(RowId(9))]));
        assert_eq!(begin(&[task("a", &[None])], ONE, None), Ok(vec![Begin::Restart(RowId(1))]));
    }

    #[test]
    fn without_progress_it_applies_to_every_task() {
        let tasks = [task("a", &[]), task("b", &[])];
        assert_eq!(begin(&tasks, NINE, None), Ok(vec![Begin::Resume(NINE); 2]));
    }

    #[test]
    fn with_several_tasks_another_value_needs_a_name() {
        let tasks = [task("a", &[ONE]), task("b", &[])];
        assert_eq!(begin(&tasks, NINE, None), Err(vec![TaskName::new("a")]));
        let named = TaskName::new("a");
        assert_eq!(
            begin(&tasks, NINE, Some(&named)),
            Ok(vec![Begin::Restart(RowId(9)), Begin::Resume(None)])
        );
    }
}
