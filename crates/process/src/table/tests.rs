use proptest::prelude::*;

use super::*;

const ASKER: Asker = Asker { pid: 1, parents: [Parent { session: 1, group: 1 }; 2] };

fn alive(pid: RawPid, parent: RawPid, group: RawPid, session: RawPid) -> Row {
    Row { pid, parent, group, session, started: u64::from(pid.cast_unsigned()), alive: true }
}

fn found(rows: &[Row], marked: &[RawPid]) -> Vec<RawPid> {
    let born = rows.iter().find(|row| row.pid == 10).map_or(0, |row| row.started);
    let seed = Seed { leader: Some(10), born, inside: &HashSet::new() };
    let family = family(rows, &seed, ASKER, |pid| marked.contains(&pid));
    family.iter().map(|row| row.pid).collect()
}

#[test]
fn a_name_may_hold_anything() {
    let fields = "7 9 8 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0";
    let row = |name: &str, state: &str| parse(&format!("42 ({name}) {state} {fields}"));
    let expected = Row { pid: 42, parent: 7, group: 9, session: 8, started: 4711, alive: true };
    for name in ["sh", "a b", ") R 1 1 1", "((", "x\ny", ""] {
        assert_eq!(row(name, "S"), Some(expected), "{name:?}");
    }
    assert_eq!(row("sh", "Z"), Some(Row { alive: false, ..expected }));
    assert_eq!(parse("42 (sh) S 1 2"), None);
    assert_eq!(parse(""), None);
}

#[test]
fn our_own_row_is_read() {
    let pid = getpid().as_raw_pid();
    let own = row(pid).unwrap();
    assert!(own.alive);
    assert!(read().unwrap().iter().any(|row| row.pid == pid && row.started == own.started));
}

#[test]
fn the_family_is_group_children_sessions_and_the_marked() {
    let rows = [
        alive(1, 0, 1, 1),
        alive(2, 1, 2, 1),   // another child of ours
        alive(3, 2, 2, 1),   // and its child
        alive(10, 1, 10, 1), // the leader
        alive(11, 10, 10, 1),
        alive(12, 1, 10, 1),   // in the group, its parent is gone
        alive(13, 11, 13, 1),  // a group of its own
        alive(14, 1, 13, 1),   // in that group, its parent is gone
        alive(15, 11, 15, 15), // a session of its own
        alive(16, 1, 16, 15),  // in that session, a group of its own, its parent is gone
        alive(20, 1, 20, 20),  // a daemon without kin
        alive(21, 20, 20, 20), // and its child
        alive(5, 1, 5, 5),     // older than the leader
    ];
    assert_eq!(found(&rows, &[]), [10, 11, 12, 13, 14, 15, 16]);
    assert_eq!(found(&rows, &[20, 5]), [10, 11, 12, 13, 14, 15, 16, 20, 21]);
}

#[test]
fn a_dead_leader_is_no_member_but_its_group_is() {
    let leader = Row { alive: false, ..alive(10, 1, 10, 1) };
    assert_eq!(found(&[leader, alive(11, 1, 10, 1)], &[]), [11]);
    assert_eq!(found(&[leader], &[]), [0; 0]);
}

#[test]
fn without_a_leader_its_number_says_nothing() {
    let rows = [
        alive(1, 0, 1, 1),
        alive(10, 1, 10, 10), // has the dead leader's id
        alive(11, 10, 10, 10),
        alive(20, 1, 20, 7), // in the cgroup, still in the session of who started it
        alive(21, 20, 20, 7),
        alive(22, 1, 22, 7),  // another's, in that session
        alive(30, 1, 30, 30), // marked
    ];
    let seed = Seed { leader: None, born: 9, inside: &HashSet::from([20]) };
    let asker = ASKER.and(Parent { session: 7, group: 7 });
    let family = family(&rows, &seed, asker, |pid| pid == 30);
    assert_eq!(family.iter().map(|row| row.pid).collect::<Vec<_>>(), [20, 21, 30]);
}

#[test]
fn who_began_outside_our_namespace_is_no_kin() {
    let rows = [
        alive(1, 0, 0, 0),
        alive(2, 0, 0, 0),  // entered from outside
        alive(10, 1, 0, 0), // of the family, in a group and a session from outside
        alive(11, 10, 11, 0),
    ];
    assert_eq!(found(&rows, &[10]), [10, 11]);
}

proptest! {
    /// Whatever forks, regroups and dies, those we did not start are never touched, and those
    /// whose chain of parents holds are always found.
    #[test]
    fn kin_is_found_and_strangers_are_not(steps in prop::collection::vec((0..4u8, any::<prop::sample::Index>()), 0..60)) {
        let mut rows = vec![alive(1, 0, 1, 1), alive(2, 1, 2, 1), alive(10, 1, 10, 1)];
        let mut ours = vec![false, false, true];
        for (step, at) in steps {
            let at = at.index(rows.len() - 1) + 1;
            let pid = 10 + RawPid::try_from(rows.len()).unwrap();
            match step {
                0 | 1 => {
                    rows.push(Row { parent: rows[at].pid, ..alive(pid, 0, rows[at].group, rows[at].session) });
                    ours.push(ours[at]);
                }
                // A leader of a group cannot start a session, see `setsid(2)`.
                2 if rows[at].group != rows[at].pid => (rows[at].group, rows[at].session) = (rows[at].pid, rows[at].pid),
                3 if rows[at].session != rows[at].pid => rows[at].group = rows[at].pid,
                _ => {}
            }
        }
        let expected: Vec<_> = rows.iter().zip(ours).filter(|(_, ours)| *ours).map(|(row, _)| row.pid).collect();
        prop_assert_eq!(found(&rows, &[]), expected);
    }
}
