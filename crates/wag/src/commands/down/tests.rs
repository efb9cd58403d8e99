use super::*;

fn made(names: &[&str]) -> Made {
    Made { deployments: names.iter().map(|name| deployed(name)).collect(), ..Made::default() }
}

fn deployed(name: &str) -> Deployed {
    Deployed { tenant: "t".to_owned(), deployment: name.to_owned(), blueprint: "b".to_owned() }
}

#[test]
fn the_only_deployment_needs_no_name() {
    let chosen = |names: &[&str], named, all| choose(&made(names), named, all);
    let given = |name: &str| Given::Made(deployed(name));
    assert_eq!(chosen(&[], None, false).unwrap(), []);
    assert_eq!(chosen(&["one"], None, false).unwrap(), [given("one")]);
    assert_eq!(chosen(&["one", "two"], Some("two"), false).unwrap(), [given("two")]);
    let other = Given::Named("other".to_owned());
    assert_eq!(chosen(&["one"], Some("other"), false).unwrap(), [other]);
    let several = chosen(&["one", "two"], None, false).unwrap_err();
    assert!(several.to_string().ends_with("`wag up` made several: one, two"), "{several}");
}

#[test]
fn all_are_taken_back_in_the_opposite_order() {
    let chosen = choose(&made(&["one", "two"]), None, true).unwrap();
    assert_eq!(chosen, ["two", "one"].map(|name| Given::Made(deployed(name))));
}
