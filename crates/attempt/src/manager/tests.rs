use super::*;

fn prefix(length: u64) -> Prefix {
    Prefix { length, chain: length * 10 }
}

/// A record that continues what was taken, or claims to.
fn record(sequence: u64) -> Input {
    let digest = sequence * 10;
    Input::Record(Record { sequence, said: digest, computed: digest, ends: false })
}

fn outcome(sequence: u64) -> Input {
    let Input::Record(record) = record(sequence) else { unreachable!() };
    Input::Record(Record { ends: true, ..record })
}

fn talking() -> Half {
    let mut half = Half::new();
    half.step(Input::Linked);
    half.step(Input::Accepted);
    half
}

#[test]
fn nothing_is_acknowledged_before_it_is_stored() {
    let mut half = talking();
    assert_eq!(half.step(record(1)), [Output::Take]);
    assert_eq!(half.step(record(2)), [Output::Take]);
    let batch = Batch { upto: prefix(2), ends: false };
    assert_eq!(half.step(Input::Flush), [Output::Store(batch)]);
    assert_eq!(half.step(outcome(3)), [Output::Take]);
    assert!(half.step(Input::Flush).is_empty(), "one batch at a time");
    let batch = Batch { upto: prefix(3), ends: true };
    let stored = half.step(Input::Stored);
    assert_eq!(stored, [Output::Ack { upto: 2 }, Output::Store(batch)]);
    assert_eq!(half.step(Input::Stored), [Output::Ack { upto: 3 }, Output::Tell]);
    assert!(half.is_over() && half.step(record(4)).is_empty());
}

#[test]
fn a_lost_conversation_goes_on_where_the_store_has_it() {
    let mut half = talking();
    half.step(record(1));
    half.step(Input::Flush);
    half.step(record(2));
    assert_eq!(half.step(Input::Cut), [Output::Wait]);
    assert!(half.step(Input::Linked).is_empty(), "while it is being stored");
    assert_eq!(half.step(Input::Stored), [Output::Open(Opening::Resume(prefix(1)))]);
    assert!(half.step(record(1)).is_empty(), "it is stored");
    assert_eq!(half.step(record(2)), [Output::Take]);
}

#[test]
fn wrong_records_rewind_a_bounded_number_of_times() {
    let chain = Input::Record(Record { sequence: 1, said: 1, computed: 2, ends: false });
    for wrong in [record(2), chain, Input::Unreadable] {
        let mut half = talking();
        for _ in 0..REWINDS {
            assert_eq!(half.step(wrong), [Output::Close, Output::Wait]);
            let outputs = half.step(Input::Linked);
            assert_eq!(outputs, [Output::Open(Opening::Resume(Prefix::default()))]);
        }
        assert_eq!(half.step(wrong), [Output::Close, Output::GiveUp(Reason::Broken)]);
    }
}

#[test]
fn an_agent_without_digests_is_believed() {
    let mut half = talking();
    let record = Record { sequence: 1, said: 0, computed: 10, ends: false };
    assert_eq!(half.step(Input::Record(record)), [Output::Take]);
    assert_eq!(half.taken(), prefix(1));
}

#[test]
fn records_whose_digest_nobody_knows_are_gone_on_after() {
    let mut half = talking();
    let lost = |sequence, digest| {
        let record = Record { sequence, said: digest, computed: digest, ends: false };
        Input::Record(record)
    };
    assert_eq!(half.step(lost(1, 0)), [Output::Take]);
    half.step(Input::Flush);
    half.step(Input::Stored);
    half.step(Input::Cut);
    let unknown = Prefix { length: 1, chain: 0 };
    assert_eq!(half.step(Input::Linked), [Output::Open(Opening::Resume(unknown))]);
    assert_eq!(half.step(lost(2, 20)), [Output::Take]);
    assert_eq!(half.taken(), prefix(2));
    assert_eq!(half.step(record(3)), [Output::Take]);
}

#[test]
fn a_cancel_is_sent_on_return() {
    let mut half = talking();
    half.step(Input::Cut);
    assert!(half.step(Input::Cancel(Order::Terminate)).is_empty());
    let resume = Output::Open(Opening::Resume(Prefix::default()));
    let outputs = half.step(Input::Linked);
    assert_eq!(outputs, [resume, Output::Cancel(Order::Terminate)]);
    assert_eq!(half.step(Input::Cancel(Order::Kill)), [Output::Cancel(Order::Kill)]);
    assert!(half.step(Input::Cancel(Order::Terminate)).is_empty());
}

#[test]
fn what_was_never_sent_is_not_sent_after_a_cancel() {
    let outputs = Half::new().step(Input::Cancel(Order::Terminate));
    assert_eq!(outputs, [Output::GiveUp(Reason::Unsent)]);
    let outputs = Half::new().step(Input::PatienceOver);
    assert_eq!(outputs, [Output::GiveUp(Reason::Unsent)]);
}

#[test]
fn what_an_earlier_manager_may_have_sent_is_asked_for_before_it_is_started() {
    for (length, reason) in [(0, Reason::Unheard), (4, Reason::Forgotten)] {
        let mut half = Half::restored(prefix(length));
        let resume = Opening::Resume(prefix(length));
        assert_eq!(half.step(Input::Linked), [Output::Open(resume)]);
        let outputs = half.step(Input::Refused(Refusal::Unknown));
        assert_eq!(outputs, [Output::Close, Output::GiveUp(reason)]);
    }
    assert_eq!(Half::new().step(Input::Linked), [Output::Open(Opening::Start)]);
}

#[test]
fn a_refusal_means_what_was_asked() {
    let refused = |accepted: bool, refusal| {
        let mut half = talking();
        if !accepted {
            half = Half::new();
            half.step(Input::Linked);
        }
        half.step(Input::Refused(refusal)).pop()
    };
    let over = |reason| Some(Output::GiveUp(reason));
    assert_eq!(refused(false, Refusal::Declined), over(Reason::Declined));
    assert_eq!(refused(false, Refusal::Unknown), Some(Output::Wait));
    assert_eq!(refused(true, Refusal::Declined), Some(Output::Wait));
    assert_eq!(refused(true, Refusal::Unknown), over(Reason::Forgotten));
    assert_eq!(refused(true, Refusal::OtherHistory), over(Reason::OtherHistory));
    assert_eq!(refused(true, Refusal::Rebooted), over(Reason::Rebooted));
}

#[test]
fn a_record_that_is_lost_with_none_after_it_is_missed_at_the_next_heartbeat() {
    let mut half = talking();
    half.step(record(1));
    assert!(half.step(Input::Heartbeat { said: 1 }).is_empty());
    assert_eq!(half.step(Input::Heartbeat { said: 2 }), [Output::Close, Output::Wait]);
}

#[test]
fn an_answer_goes_only_to_a_conversation() {
    let mut half = talking();
    assert_eq!(half.step(Input::Question(1)), [Output::Answer { question: 1 }]);
    assert_eq!(half.step(Input::Answered(1)), [Output::Reply { question: 1 }]);
    half.step(Input::Cut);
    assert!(half.step(Input::Answered(1)).is_empty() && half.step(Input::Question(2)).is_empty());
}

#[test]
fn a_store_that_fails_is_believed_in_what_it_holds() {
    let failed = |stored| {
        let mut half = talking();
        half.step(record(1));
        half.step(Input::Flush);
        let outputs = half.step(Input::StoreFailed { stored });
        (outputs, half.taken())
    };
    assert_eq!(failed(prefix(0)), (vec![Output::Close, Output::Wait], prefix(0)));
    assert_eq!(failed(prefix(1)), (vec![Output::Ack { upto: 1 }], prefix(1)));
}
