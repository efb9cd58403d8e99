use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::*;

/// A web server on loopback: answers each path in its own way, and counts what it was asked.
struct Server {
    address: String,
    asked: Arc<AtomicUsize>,
}

fn serve() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // It ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut lines = BufReader::new(&stream).lines();
            let line = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            count.fetch_add(1, Ordering::Relaxed);
            let answer = answer(line.split(' ').nth(1).unwrap());
            // Who has read enough goes.
            (&stream).write_all(answer.as_bytes()).ok();
        }
    });
    Server { address, asked }
}

fn answer(path: &str) -> String {
    let ok = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let to = |place: &str| {
        format!(
            "HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n"
        )
    };
    match path {
        "/specs/a.yaml" | "/private/b.yaml" => ok("inputs: {}"),
        "/specs/moved.yaml" => to("/specs/a.yaml"),
        "/specs/out.yaml" => to("/private/b.yaml"),
        "/specs/round.yaml" => to("/specs/round.yaml"),
        "/specs/huge.yaml" => ok(&"#".repeat(usize::try_from(LARGEST).unwrap() + 1)),
        "/specs/broken.yaml" => {
            "HTTP/1.1 500 Oh\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
        _ => "HTTP/1.1 404 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned(),
    }
}

fn urls(server: &Server) -> Urls {
    Urls::new(vec![format!("{}/specs", server.address).parse().unwrap()])
}

#[test]
fn a_site_is_a_scheme_a_host_and_a_folder() {
    let site: Site = "https://example.org/a".parse().unwrap();
    assert_eq!(site.to_string(), "https://example.org/a/");
    let holds = |address: &str| site.holds(&address.parse().unwrap());
    assert!(holds("https://example.org/a/b/c.yaml"));
    for out in [
        "http://example.org/a/b.yaml",
        "https://example.org:444/a/b.yaml",
        "https://example.org.evil.net/a/b.yaml",
        "https://user@example.org/a/b.yaml",
        "https://example.org/ab.yaml",
        "https://example.org/a/../b.yaml",
        "https://example.org/a/%2e%2E/b.yaml",
        "https://example.org/a/..%2F..%2fb.yaml",
    ] {
        assert!(!holds(out), "{out}");
    }
    for no in ["example.org", "ftp://example.org/", "https://u@example.org/", "https://h/?q", ""] {
        assert_eq!(no.parse::<Site>(), Err(InvalidSite), "{no}");
    }
}

#[test]
fn a_text_is_brought_from_an_allowed_site_once() {
    let server = serve();
    let urls = urls(&server);
    for path in ["/specs/a.yaml", "/specs/a.yaml", "/specs/moved.yaml"] {
        let found = urls.fetch(&format!("{}{path}", server.address)).unwrap();
        assert_eq!(found.unwrap().text, "inputs: {}", "{path}");
    }
    assert_eq!(server.asked.load(Ordering::Relaxed), 3, "one, none, and one with its redirect");
    assert!(urls.fetch(&format!("{}/specs/no.yaml", server.address)).unwrap().is_none());
}

#[test]
fn what_is_refused_says_why() {
    let server = serve();
    let urls = urls(&server);
    let refused = |path: &str| urls.fetch(&format!("{}{path}", server.address)).unwrap_err().0;
    let allowed = format!("this manager reads imports from {}/specs/ only", server.address);
    assert!(refused("/private/b.yaml").starts_with(&allowed));
    assert_eq!(server.asked.load(Ordering::Relaxed), 0, "it was not even asked");
    assert!(refused("/specs/out.yaml").starts_with(&allowed));
    assert_eq!(refused("/specs/round.yaml"), "the site sent us on more than 5 times");
    assert_eq!(refused("/specs/huge.yaml"), format!("it has more than {LARGEST} bytes"));
    assert_eq!(refused("/specs/broken.yaml"), "the site answered 500 Internal Server Error");
    let nowhere = Urls::new(Vec::new()).fetch("https://example.org/a.yaml").unwrap_err().0;
    assert!(nowhere.starts_with("this manager reads imports from nowhere"), "{nowhere}");
}

#[test]
fn a_site_that_is_away_is_known_by_what_it_said() {
    let server = serve();
    let urls = urls(&server);
    let address: Uri = format!("{}/specs/broken.yaml", server.address).parse().unwrap();
    let since = Instant::now().checked_sub(FRESH * 2).unwrap();
    let kept = Kept { text: Some("inputs: {}".to_owned()), since };
    urls.kept().insert(address.clone(), kept);
    assert_eq!(urls.fetch(&address.to_string()).unwrap().unwrap().text, "inputs: {}");
    assert_eq!(server.asked.load(Ordering::Relaxed), 1, "it was asked");
}
