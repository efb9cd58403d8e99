use super::*;

fn begin(half: &mut Half, first: First) -> Talk {
    match half.step(Input::Began(first)).first() {
        Some(Output::Begin(talk)) => *talk,
        other => panic!("{other:?}"),
    }
}

fn resume(length: u64, chain: u64, journal: u64) -> First {
    First::Resume { manager: Prefix { length, chain }, journal }
}

/// Says all that may be said, records with 40 KiB each.
fn say_all(half: &mut Half, talk: Talk) -> Vec<Say> {
    let mut said = Vec::new();
    while let Next::Say(say) = half.next(talk) {
        half.step(Input::Said(talk, say, 40 << 10));
        said.push(say);
    }
    said
}

#[test]
fn records_are_said_as_far_as_the_window_goes() {
    let mut half = Half::new(1, WINDOW);
    let talk = begin(&mut half, First::Start { epoch: 1 });
    half.step(Input::Appended { last: 9, ended: true });
    half.step(Input::Asked(1));
    let mut said = say_all(&mut half, talk);
    let records = said.split_off(2);
    assert_eq!(said, [Say::Accepted { resumed: false }, Say::Question(1)]);
    assert_eq!(records, [1, 2, 3, 4].map(Say::Record));
    assert_eq!(half.next(talk), Next::Wait);
    assert_eq!(half.step(Input::Ack(talk, 2)), [Output::Drop { upto: 2 }]);
    assert_eq!(say_all(&mut half, talk), [5, 6].map(Say::Record));
}

#[test]
fn a_conversation_ends_when_the_outcome_is_acknowledged() {
    let mut half = Half::new(1, WINDOW);
    let talk = begin(&mut half, First::Start { epoch: 1 });
    half.step(Input::Appended { last: 2, ended: true });
    say_all(&mut half, talk);
    assert_eq!(half.step(Input::Ack(talk, 9)), [Output::Drop { upto: 2 }, Output::Done]);
    assert_eq!(half.next(talk), Next::End);
    assert!(half.step(Input::Ack(talk, 2)).is_empty(), "it is said once");
    let dropped = Output::Refuse(Refusal::Dropped { acked: 2 });
    assert_eq!(half.step(Input::Began(First::Start { epoch: 1 })), [dropped]);
}

#[test]
fn what_is_resumed_after_is_acknowledged() {
    let held = Held { last: 4, acked: 1, ended: true };
    let mut half = Half::recovered(1, WINDOW, held);
    let outputs = half.step(Input::Began(resume(4, 7, 7)));
    assert_eq!(outputs[1..], [Output::Drop { upto: 4 }, Output::Done]);
    let Output::Begin(talk) = outputs[0] else { panic!("{outputs:?}") };
    assert_eq!(say_all(&mut half, talk), [Say::Accepted { resumed: true }]);
    assert_eq!(half.next(talk), Next::End);
}

#[test]
fn a_later_conversation_takes_over_and_asks_again() {
    let mut half = Half::new(2, WINDOW);
    let first = begin(&mut half, First::Start { epoch: 2 });
    half.step(Input::Asked(1));
    half.step(Input::Asked(2));
    say_all(&mut half, first);
    assert_eq!(half.step(Input::Answer(first, 2, Piece::Last)), [Output::Hand { question: 2 }]);
    let outputs = half.step(Input::Began(First::Start { epoch: 2 }));
    let Output::Begin(second) = outputs[0] else { panic!("{outputs:?}") };
    assert_eq!(outputs[1..], [Output::Again { question: 1 }]);
    assert_eq!(half.next(first), Next::Superseded);
    assert!(half.step(Input::Cancel(first, Order::Kill)).is_empty(), "it has not the floor");
    assert!(half.step(Input::Answer(second, 1, Piece::Last)).is_empty(), "not asked there yet");
    assert_eq!(say_all(&mut half, second), [Say::Accepted { resumed: true }, Say::Question(1)]);
}

#[test]
fn a_conversation_that_cannot_be_held_is_refused_and_disturbs_none() {
    let held = Held { last: 4, acked: 2, ended: false };
    let mut half = Half::recovered(3, WINDOW, held);
    let talk = begin(&mut half, resume(3, 5, 5));
    let refusals = [
        (First::Start { epoch: 2 }, Refusal::StaleEpoch { newest: 3 }),
        (resume(1, 0, 0), Refusal::Dropped { acked: 3 }),
        (resume(5, 5, 0), Refusal::OtherHistory),
        (resume(4, 5, 6), Refusal::OtherHistory),
    ];
    for (first, refusal) in refusals {
        assert_eq!(half.step(Input::Began(first)), [Output::Refuse(refusal)]);
    }
    assert_ne!(half.next(talk), Next::Superseded);
    let mut half = half.rebooted();
    for first in [resume(5, 5, 0), resume(4, 5, 6)] {
        assert_eq!(half.step(Input::Began(first)), [Output::Refuse(Refusal::Rebooted)]);
    }
}

#[test]
fn an_order_is_given_once_and_can_only_grow() {
    let mut half = Half::new(1, WINDOW);
    let talk = begin(&mut half, First::Start { epoch: 1 });
    let mut order = |order| half.step(Input::Cancel(talk, order));
    assert_eq!(order(Order::Terminate), [Output::Cancel(Order::Terminate)]);
    assert!(order(Order::Terminate).is_empty());
    assert_eq!(order(Order::Kill), [Output::Cancel(Order::Kill)]);
    assert!(order(Order::Terminate).is_empty());
}

#[test]
fn who_is_alone_has_a_wide_window_and_many_share_one() {
    assert_eq!(window(0), WIDEST);
    assert_eq!([1, 8, 32, 10_000].map(window), [WIDEST, 512 << 10, WINDOW, WINDOW]);
}

#[test]
fn a_quiet_conversation_has_heartbeats() {
    let mut half = Half::new(1, WINDOW);
    let talk = begin(&mut half, First::Start { epoch: 1 });
    say_all(&mut half, talk);
    assert_eq!(half.next(talk), Next::Wait);
    half.step(Input::Quiet(talk));
    assert_eq!(say_all(&mut half, talk), [Say::Heartbeat { said: 0 }]);
    half.step(Input::Appended { last: 2, ended: false });
    assert_eq!(say_all(&mut half, talk), [Say::Record(1), Say::Record(2)]);
    half.step(Input::Quiet(talk));
    assert_eq!(say_all(&mut half, talk), [Say::Heartbeat { said: 2 }]);
    half.step(Input::Cut(talk));
    assert_eq!(half.next(talk), Next::End);
}
