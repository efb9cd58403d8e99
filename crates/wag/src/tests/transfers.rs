use camino::Utf8Path;
use sha2::{Digest as _, Sha256};
use waggoner_proto::v1::Plugin;
use waggoner_types::Digest;

use super::{Fake, wag};

fn write(path: &Utf8Path, text: impl AsRef<[u8]>) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, text).unwrap();
}

fn digest(bytes: &[u8]) -> String {
    Digest(Sha256::digest(bytes).into()).to_string()
}

#[tokio::test]
async fn a_wagon_is_sent_in_pieces_with_its_digest_and_yamls() {
    let dir = camino_tempfile::tempdir().unwrap();
    let wagon = dir.path().join("p-1.0-py311-none-any.wgn");
    let bytes: Vec<u8> = (0..600_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    write(&wagon, &bytes);
    write(&dir.path().join("plugin.yaml"), "plugins: {}");
    write(&dir.path().join("plugin_1_4.yaml"), "plugins: {}");
    write(&dir.path().join("other.yaml"), "");

    let fake = Fake { plugins: vec![Plugin::default()], ..Fake::default() };
    let heard = fake.heard.clone();
    let said = wag(fake, &["plugins", "upload", wagon.as_str()]).await;
    assert_eq!(said.exit, 0, "{}", said.err);
    let heard = heard.lock().unwrap();
    let header = heard.plugin.as_ref().unwrap();
    assert_eq!(header.archive_name, "p-1.0-py311-none-any.wgn");
    assert_eq!((header.size, &header.digest), (600_000, &digest(&bytes)));
    let yamls: Vec<_> = header.yamls.iter().map(|yaml| yaml.name.as_str()).collect();
    assert_eq!(yamls, ["plugin.yaml", "plugin_1_4.yaml"]);
    assert_eq!(heard.pieces, [262_144, 262_144, 75_712]);
    assert_eq!(heard.bytes, bytes);
}

#[tokio::test]
async fn a_wagon_without_a_yaml_is_not_sent() {
    let dir = camino_tempfile::tempdir().unwrap();
    let wagon = dir.path().join("p.wgn");
    write(&wagon, "x");
    let said = wag(Fake::default(), &["plugins", "upload", wagon.as_str()]).await;
    assert_eq!(said.exit, 1);
    assert!(said.err.contains("failed to find a plugin.yaml beside"), "{}", said.err);
    assert!(said.err.contains("hint: name it with --yaml"), "{}", said.err);
}

#[tokio::test]
async fn a_wagon_is_downloaded_whole_or_not_at_all() {
    let dir = camino_tempfile::tempdir().unwrap();
    let to = dir.path().join("got.wgn");
    let wagon = vec![7; 2500];
    let plugin =
        |digest| Plugin { archive_name: "../../x.wgn".to_owned(), digest, ..Plugin::default() };
    let line = ["plugins", "download", "1", "--to", to.as_str()];

    let plugins = vec![plugin(digest(b"something else"))];
    let said = wag(Fake { plugins, wagon: wagon.clone(), ..Fake::default() }, &line).await;
    assert_eq!(said.exit, 70, "{}", said.err);
    assert_eq!(dir.path().read_dir_utf8().unwrap().count(), 0, "nothing is left behind");

    let plugins = vec![plugin(digest(&wagon))];
    let said = wag(Fake { plugins, wagon: wagon.clone(), ..Fake::default() }, &line).await;
    assert_eq!(said.exit, 0, "{}", said.err);
    assert_eq!(fs_err::read(&to).unwrap(), wagon);
}

#[tokio::test]
async fn a_blueprint_is_its_directory_without_the_plugins_beside_it() {
    let dir = camino_tempfile::tempdir().unwrap();
    let web = dir.path().join("web");
    for path in [
        "app.yaml",
        "scripts/go.sh",
        ".git/HEAD",
        "plugins/p.wgn",
        "plugins/p.yaml",
        "plugins/p/plugin.yaml",
        "plugins/p/setup.py",
        "plugins/scripts/kept.sh",
    ] {
        write(&web.join(path), path);
    }
    let main = web.join("app.yaml");
    let line = ["blueprints", "upload", main.as_str()];
    let fakes = [Fake::default(), Fake::default()];
    let heard = fakes.each_ref().map(|fake| fake.heard.clone());
    for fake in fakes {
        let said = wag(fake, &line).await;
        assert_eq!(said.exit, 0, "{}", said.err);
    }
    let (one, two) = (heard[0].lock().unwrap(), heard[1].lock().unwrap());
    let header = one.blueprint.as_ref().unwrap();
    assert_eq!((header.id.as_str(), header.main_file.as_str()), ("web", "app.yaml"));
    assert_eq!(one.bytes, two.bytes, "the same files are the same bytes");
    assert_eq!(header.digest, digest(&one.bytes));

    let packed = dir.path().join("packed.tar.gz");
    let unpacked = dir.path().join("unpacked");
    fs_err::write(&packed, &one.bytes).unwrap();
    let budget = waggoner_wagon::Budget::WAGON;
    waggoner_wagon::unpack_tree(&packed, &unpacked, &budget).unwrap();
    let top = unpacked.join("blueprint");
    let is_there = |path: &str| top.join(path).exists();
    assert!(is_there("app.yaml") && is_there("scripts/go.sh"));
    assert!(is_there("plugins/scripts/kept.sh"));
    assert!(!is_there(".git") && !is_there("plugins/p") && !is_there("plugins/p.wgn"));
}

#[tokio::test]
async fn a_secret_is_read_from_a_file_to_the_byte() {
    let dir = camino_tempfile::tempdir().unwrap();
    let file = dir.path().join("key.pem");
    write(&file, "line\n\n");
    let fake = Fake::default();
    let heard = fake.heard.clone();
    let said = wag(fake, &["secrets", "put", "key", "--file", file.as_str(), "--update"]).await;
    assert_eq!(said.exit, 0, "{}", said.err);
    let put = heard.lock().unwrap().secret.take().unwrap();
    assert_eq!((put.value.as_str(), put.update_if_exists), ("line\n\n", true));
    assert!(!said.out.contains("line") && !said.err.contains("line"));
}
