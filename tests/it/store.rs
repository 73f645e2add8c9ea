//! What the durable state promises, whoever keeps it: `promises`, `calls` and `model` ask any [`Store`], `local` asks what only
//! files have (locks, damage, a process that is gone), `full` what a daemon does when there is no room.

mod bed;
mod calls;
mod desk;
mod full;
mod local;
mod model;
mod moved;
mod promises;
mod runs;

use bed::Local;

/// Each promise is one test for each kind of store.
macro_rules! kept_by_local {
    ($of:ident: $($promise:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            $of::$promise(&Local::new()).await;
        })*
    };
}

kept_by_local! {
    calls:
    what_is_new_and_what_is_tried_again_do_not_wait_for_each_other
    whoever_was_sent_together_comes_back_together
    what_is_fresh_is_handed_out_without_what_is_tried_again
    heavy_batches_are_handed_out_whole_and_few_at_a_time
}

kept_by_local! {
    promises:
    a_cursor_and_its_findings_become_durable_as_one
    cursors_can_be_forgotten_by_task_and_feed
    a_key_has_at_most_one_open_delivery
    a_healed_key_that_differs_again_begins_anew_under_the_same_id
    what_was_handed_over_is_not_said_again_unless_it_changed
    what_is_seen_to_agree_is_no_longer_remembered
    what_only_the_copy_had_is_gone_when_a_pass_has_not_seen_it
    what_is_remembered_outlives_retention
    a_lane_without_memory_costs_nothing
    evidence_is_kept_and_told_once
    a_dead_delivery_comes_back_for_another_difference_only
    several_rows_for_a_key_are_confirmed_like_anything_else
    a_key_that_moved_to_another_row_is_looked_at_there
    claims_are_exclusive_in_order_and_only_of_what_is_due
    a_claim_ends_with_the_message_that_fills_it
    next_due_sees_what_waits_and_nothing_else
    a_difference_found_between_claim_and_prepare_is_not_lost
    a_difference_found_between_prepare_and_settle_is_not_lost
    the_same_difference_found_again_after_the_look_is_not_lost
    a_difference_found_before_the_claim_does_not_bring_it_back
    dead_is_not_where_a_newer_difference_ends
    dead_remembers_what_was_seen_last
    what_stays_open_keeps_its_pace_when_a_difference_arrives
    what_waits_to_be_seen_healed_is_looked_at_when_a_difference_arrives
    a_message_that_is_under_way_is_not_yet_acknowledged
    a_crash_between_prepare_and_settle_keeps_id_bytes_and_tries
    an_expired_claim_can_do_no_more_harm
    released_claims_come_back_unchanged
    leases_run_out_when_they_are_over
    what_nobody_comes_to_an_end_with_is_put_aside
    revisions_of_a_key_only_grow
    attempts_are_numbered_through
    retention_deletes_only_what_ended_long_ago
    what_passes_without_a_call_is_kept_for_a_shorter_time
    no_more_are_kept_than_is_wished
    attempts_of_what_is_tried_for_ever_are_bounded
    counts_and_totals_say_what_is_there
    plights_are_counted_as_far_as_is_asked
    what_is_looked_at_and_what_is_called_are_claimed_separately
    what_confirming_knows_is_kept
    notes_of_destinations_are_kept
    what_was_covered_is_kept_with_the_cursor
    rows_that_cannot_be_compared_are_kept_until_they_can
    what_was_handed_over_stands_until_it_is_seen_to_agree
    a_complete_pass_leaves_out_what_it_has_not_met
    nothing_waits_longer_than_it_may
    nothing_is_done_after_close
    many_callers_at_once_get_their_own_answers
}
