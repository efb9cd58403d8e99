use super::*;

#[test]
fn an_empty_directory_becomes_ours_and_a_full_one_does_not() {
    let dir = camino_tempfile::tempdir().unwrap();
    let site = Site::new(dir.path().join("new"));
    site.prepare().unwrap();
    site.prepare().unwrap();
    let mode = fs_err::metadata(site.dir()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
    assert_eq!(mode & 0o777, 0o700);
    site.purge().unwrap();
    assert!(!site.dir().exists());

    let home = Site::new(dir.path().to_owned());
    fs_err::write(dir.path().join("letter.txt"), "dear").unwrap();
    home.prepare().unwrap();
    let deployed =
        Deployed { tenant: "t".to_owned(), deployment: "d".to_owned(), blueprint: "b".to_owned() };
    Made::add(&home, deployed).unwrap();
    assert!(matches!(home.purge(), Err(SiteError::Foreign(_))));
    assert!(dir.path().join("letter.txt").is_file());
}

#[test]
fn what_was_made_is_remembered_until_it_is_taken_back() {
    let dir = camino_tempfile::tempdir().unwrap();
    let site = Site::new(dir.path().to_owned());
    let deployed = |name: &str| Deployed {
        tenant: "default_tenant".to_owned(),
        deployment: name.to_owned(),
        blueprint: "web".to_owned(),
    };
    assert_eq!(Made::read(&site).unwrap(), Made::default());
    for name in ["one", "two", "one"] {
        Made::add(&site, deployed(name)).unwrap();
    }
    assert_eq!(Made::read(&site).unwrap().deployments, [deployed("one"), deployed("two")]);
    let left = Made::remove(&site, &deployed("one")).unwrap();
    assert_eq!(left.deployments, [deployed("two")]);
    fs_err::write(dir.path().join("wag.json"), "{").unwrap();
    assert!(matches!(Made::read(&site), Err(SiteError::Made { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_waited_for_and_given_up_in_the_end() {
    let dir = camino_tempfile::tempdir().unwrap();
    let site = Site::new(dir.path().to_owned());
    let turn = site.turn().await.unwrap();
    assert!(matches!(site.turn().await, Err(SiteError::Busy(_))));
    drop(turn);
    site.turn().await.unwrap();
}

#[tokio::test]
async fn a_process_that_was_started_here_is_stopped_and_one_that_is_gone_passed_over() {
    let dir = camino_tempfile::tempdir().unwrap();
    let site = Site::new(dir.path().to_owned());
    let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let mark = process::Mark::of(i32::try_from(child.id()).unwrap()).unwrap();
    let write = |name: &str| {
        let mark = serde_json::to_string(&mark).unwrap();
        fs_err::write(dir.path().join(name), mark).unwrap();
    };
    write("agent.pid");
    assert_eq!(site.stop().await.unwrap(), ["agent"]);
    assert!(!dir.path().join("agent.pid").exists());
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(15));
    write("manager.pid");
    assert_eq!(site.stop().await.unwrap(), Vec::<String>::new());
}
