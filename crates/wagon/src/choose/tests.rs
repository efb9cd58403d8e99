use super::*;

#[derive(Debug)]
struct Stored {
    label: &'static str,
    name: &'static str,
    version: &'static str,
    platform: &'static str,
    tags: Vec<String>,
    os: OsProperties,
}

impl Offered for Stored {
    fn offer(&self) -> Offer<'_> {
        Offer {
            package_name: self.name,
            package_version: self.version,
            supported_platform: self.platform,
            python_tags: &self.tags,
            os: &self.os,
        }
    }
}

fn stored(
    label: &'static str,
    version: &'static str,
    platform: &'static str,
    tags: &str,
) -> Stored {
    Stored {
        label,
        name: "aws",
        version,
        platform,
        tags: tags.split(' ').map(str::to_owned).collect(),
        os: OsProperties::default(),
    }
}

fn made_on(distribution: &str, wagon: Stored) -> Stored {
    let os = OsProperties { distribution: Some(distribution.to_owned()), ..wagon.os };
    Stored { os, ..wagon }
}

fn host() -> Host {
    Host {
        hostname: "vm".to_owned(),
        system: "linux".to_owned(),
        machine: "x86_64".to_owned(),
        distribution: "debian".to_owned(),
        python_tags: vec!["py39".to_owned(), "py311".to_owned()],
        libc: "glibc-2.36".to_owned(),
        ..Host::default()
    }
}

fn spec(version: &str) -> Requirement {
    Requirement { version: version.parse().unwrap(), ..Requirement::of("aws") }
}

#[test]
fn the_best_wagon_for_the_host_is_chosen() {
    let any = "any";
    for (candidates, version, expected) in [
        // The highest version, as versions and not as texts compare.
        (vec![stored("a", "1.9", any, "py311"), stored("b", "1.10", any, "py311")], "", "b"),
        // One that the host can run, though a newer one is there.
        (
            vec![stored("a", "1.0", any, "py311"), stored("b", "2.0", "linux_aarch64", "py311")],
            "",
            "a",
        ),
        (vec![stored("a", "1.0", any, "py311"), stored("b", "2.0", any, "py36")], "", "a"),
        (vec![stored("a", "1.0", "linux_x86_64", "py311")], "", "a"),
        (vec![stored("a", "1.0", "manylinux_2_17_x86_64.manylinux2014_x86_64", "py3")], "", "a"),
        // The newest Python among equal versions.
        (vec![stored("a", "1.0", any, "py39"), stored("b", "1.0", any, "py311")], "", "b"),
        (vec![stored("a", "1.0", any, "py311"), stored("b", "1.0", any, "py39")], "", "a"),
        // The host's own distribution among equals.
        (
            vec![
                made_on("centos", stored("a", "1.0", "linux_x86_64", "py311")),
                made_on("Debian", stored("b", "1.0", "linux_x86_64", "py311")),
            ],
            "",
            "b",
        ),
        // What the requirement admits.
        (vec![stored("a", "1.0", any, "py311"), stored("b", "2.0", any, "py311")], "1.0", "a"),
        (vec![stored("a", "1.5", any, "py311"), stored("b", "2.0", any, "py311")], ">=1,<2", "a"),
        (vec![stored("a", "1.0", any, "py311"), stored("b", "2.0rc1", any, "py311")], ">=1", "a"),
        (vec![stored("a", "1.0", any, "py311"), stored("b", "2.0rc1", any, "py311")], ">=2a1", "b"),
    ] {
        let choice = choose(&candidates, &spec(version), &host()).unwrap();
        assert_eq!(choice.candidate.label, expected, "{candidates:?} {version}");
    }
}

#[test]
fn the_interpreter_is_chosen_with_the_wagon() {
    let candidates = [stored("a", "1.0", "any", "py36 py39 py311 py312")];
    assert_eq!(choose(&candidates, &spec(""), &host()).unwrap().python_tag, "py311");
}

#[test]
fn when_none_fits_each_one_is_named_with_its_reason() {
    let candidates = [
        stored("a", "3.0", "any", "py311"),
        stored("b", "1.0", "linux_aarch64", "py311"),
        stored("c", "1.1", "any", "py36"),
        stored("d", "1.2", "manylinux_2_99_x86_64", "py311"),
        stored("e", "1.3", "musllinux_1_1_x86_64", "py311"),
        made_on("centos", stored("f", "1.4", "linux_x86_64", "py311")),
    ];
    let requirement = Requirement { distribution: Some("debian".to_owned()), ..spec("<2") };
    assert_eq!(
        choose(&candidates, &requirement, &host()).unwrap_err().to_string(),
        "no wagon fits the plugin `aws` in version <2 on the host `vm`: \
         3.0 is there, but its version is not <2; \
         1.0 is there, but it is for linux_aarch64 and the host is linux_x86_64; \
         1.1 is there, but it needs py36 and the host has py39, py311; \
         1.2 is there, but it needs glibc 2.99 and the host has glibc 2.36; \
         1.3 is there, but it needs musl 1.1 and the host has glibc 2.36; \
         1.4 is there, but it was made on centos, not debian"
    );
    assert_eq!(
        choose(&candidates, &Requirement::of("gcp"), &host()).unwrap_err().to_string(),
        "no wagon fits the plugin `gcp` on the host `vm`: none of this name was uploaded"
    );
}

#[test]
fn an_import_takes_the_highest_version_for_whatever_host() {
    let candidates = [
        stored("a", "1.0", "any", "py311"),
        stored("b", "1.2", "linux_s390x", "py27"),
        stored("c", "2.0", "any", "py311"),
    ];
    assert_eq!(choose_import(&candidates, &spec(">=1.0,<2")).unwrap().label, "b");
    assert_eq!(choose_import(&candidates, &spec("1.0")).unwrap().label, "a");
    assert!(choose_import(&candidates, &spec("1")).is_err());
}

#[test]
fn tags_are_ordered_by_their_numbers() {
    assert!(minor("py311") > minor("py39") && minor("py39") > minor("py27"));
    assert!(serves("py311", "py3") && serves("py311", "cp311") && !serves("py311", "py31"));
}
