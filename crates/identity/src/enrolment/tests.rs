use super::*;

const ALIVE: i64 = 1_000;
const END: i64 = 2_000;
const LATE: i64 = 3_000;

/// A row, a key, the name asked for (`-` for none), the time, and the decision in a word.
type Case = (Option<Row>, u8, &'static str, i64, &'static str);

fn row(name: &str, used: Option<(u8, &str)>) -> Row {
    Row {
        tenant: "default_tenant".parse().unwrap(),
        name: name.parse().ok(),
        expires: at(END),
        used: used.map(|(key, name)| Use {
            key: key_hash(key),
            name: name.parse().unwrap(),
            certificate: format!("certificate of {name}"),
        }),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn key_hash(key: u8) -> KeyHash {
    KeyHash::from([key; 32])
}

fn word(decision: Decision) -> String {
    match decision {
        Decision::Issue { tenant, name } => format!("issue {tenant} {name}"),
        Decision::Repeat { certificate, .. } => format!("repeat {certificate}"),
        Decision::Refuse(refusal) if refusal.is_alarm() => format!("{}!", refusal.reason()),
        Decision::Refuse(refusal) => refusal.reason().to_owned(),
    }
}

#[test]
fn each_token_and_request_has_its_decision() {
    let cases: &[Case] = &[
        (None, 1, "web", ALIVE, "TOKEN_UNKNOWN"),
        // Unused.
        (Some(row("-", None)), 1, "web", ALIVE, "issue default_tenant web"),
        (Some(row("web", None)), 1, "web", ALIVE, "issue default_tenant web"),
        (Some(row("web", None)), 1, "-", ALIVE, "issue default_tenant web"),
        (Some(row("web", None)), 1, "db", ALIVE, "NAME_MISMATCH"),
        (Some(row("-", None)), 1, "-", ALIVE, "NAME_MISSING"),
        (Some(row("-", None)), 1, "web", END - 1, "issue default_tenant web"),
        (Some(row("-", None)), 1, "web", END, "TOKEN_EXPIRED"),
        (Some(row("web", None)), 1, "db", LATE, "TOKEN_EXPIRED"),
        // Used by this key.
        (Some(row("-", Some((1, "web")))), 1, "web", ALIVE, "repeat certificate of web"),
        (Some(row("-", Some((1, "web")))), 1, "-", ALIVE, "repeat certificate of web"),
        (Some(row("web", Some((1, "web")))), 1, "web", ALIVE, "repeat certificate of web"),
        (Some(row("-", Some((1, "web")))), 1, "db", ALIVE, "NAME_MISMATCH"),
        (Some(row("-", Some((1, "web")))), 1, "web", LATE, "TOKEN_EXPIRED"),
        // Used by another key.
        (Some(row("-", Some((1, "web")))), 2, "web", ALIVE, "TOKEN_USED!"),
        (Some(row("-", Some((1, "web")))), 2, "db", ALIVE, "TOKEN_USED!"),
        (Some(row("-", Some((1, "web")))), 2, "web", LATE, "TOKEN_USED!"),
    ];
    for (row, key, name, now, decision) in cases {
        let request = Request { key: key_hash(*key), name: name.parse().ok() };
        assert_eq!(
            word(decide(row.as_ref(), &request, at(*now))),
            *decision,
            "{row:?} {key} {name} at {now}"
        );
    }
}
