//! Each reason for which something is not shown, and the limits between them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use rustix::thread::CapabilitySet;

use super::*;

fn reason_for(content: &[u8]) -> Option<SkipReason> {
    let project = Project::with(&[]);
    project.put("file", content);
    let mut gathered = project.gather(&["file"], &plain()).unwrap();
    assert_eq!(gathered.loaded.len() + gathered.skipped.len(), 1);
    gathered.skipped.pop().map(|skipped| skipped.reason)
}

#[test]
fn content_that_is_no_utf_8_text_is_skipped_with_its_kind() {
    let utf16 = |text: &str| -> Vec<u8> {
        let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    };
    let late_nul = [vec![b'a'; 8000], vec![0]].concat();
    for (content, expected) in [
        (b"plain".to_vec(), None),
        (b"".to_vec(), None),
        ("\u{feff}with a mark, größer".as_bytes().to_vec(), None),
        (late_nul, None),
        (b"\x7fELF\0".to_vec(), Some(SkipReason::Binary)),
        (
            [vec![b'a'; 7999], vec![0]].concat(),
            Some(SkipReason::Binary),
        ),
        (b"gr\xf6\xdfer".to_vec(), Some(SkipReason::NotUtf8)),
        (b"cut off \xe2\x82".to_vec(), Some(SkipReason::NotUtf8)),
        (utf16("text"), None),
        (utf16("a\0b"), Some(SkipReason::Binary)),
        (
            b"\xff\xfe\x00\xd8\x41\x00".to_vec(),
            Some(SkipReason::Binary),
        ),
    ] {
        assert_eq!(reason_for(&content), expected, "{content:?}");
    }
}

#[test]
fn utf_16_is_converted_with_a_notice_and_keeps_the_facts_of_its_file() {
    for swap in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
        let units = std::iter::once(0xFEFF).chain("größer\n".encode_utf16());
        let bytes: Vec<u8> = units.flat_map(swap).collect();
        let project = Project::with(&[]);
        project.put("file", &bytes);
        let gathered = project.gather(&["file"], &plain()).unwrap();
        let item = &gathered.loaded[0];
        assert_eq!(item.body, "größer\n".as_bytes());
        let facts = (item.size, crate::platform::digest::sha256_hex(&bytes));
        assert_eq!(facts, (bytes.len() as u64, item.hash.clone()));
        let notice = "file is UTF-16; it is shown as UTF-8";
        assert_eq!(gathered.warnings, [notice]);
        let entry = entry_of(item, crate::platform::clock::wall_ms());
        let fresh = freshness(&project.source(), &[entry]).unwrap();
        assert_eq!(fresh, [Some(Freshness::Fresh)]);
    }
}

#[test]
fn an_image_is_loaded_when_named_and_listed_when_found() {
    let project = Project::with(&["d/a.txt"]);
    project.put(
        "d/shot",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\0\0\0\x04\0\x08\x06",
    );
    let (paths, skipped) = project.paths(&["d"], &recursive());
    assert_eq!(
        (paths, skipped.as_str()),
        (owned(&["d/a.txt"]), "d/shot: image")
    );
    for named in ["d/shot", "d/s*"] {
        let options = LoadOptions {
            detail: Detail::Low,
            ..plain()
        };
        let item = project.gather(&[named], &options).unwrap().loaded.remove(0);
        assert_eq!((item.kind, item.tokens), (Kind::Image, 85));
        assert_eq!(item.origin.detail, Some(Detail::Low));
        let item = project.gather(&[named], &plain()).unwrap().loaded.remove(0);
        assert_eq!(item.tokens, 765);
    }
}

#[test]
fn a_link_is_remembered_beside_its_target() {
    let project = Project::with(&["src/a.rs"]);
    std::os::unix::fs::symlink("src/a.rs", project.at("b.rs")).unwrap();
    let gathered = project.gather(&["b.rs"], &plain()).unwrap();
    let item = &gathered.loaded[0];
    assert_eq!(item.path.as_deref(), Some("src/a.rs"));
    assert_eq!(item.origin.link.as_deref(), Some("b.rs"));
    let gathered = project.gather(&["src/a.rs"], &plain()).unwrap();
    assert_eq!(gathered.loaded[0].origin.link, None);
}

#[test]
fn more_items_than_one_load_takes_are_refused() {
    let project = Project::with(&["a", "b", "c"]);
    let options = LoadOptions {
        max_items: 2,
        ..recursive()
    };
    let refused = project.refusal(&["."], &options);
    assert_eq!(refused, ContextError::TooManyItems { items: 3, limit: 2 });
    assert_eq!(project.paths(&["a", "b"], &options).0.len(), 2);
}

#[test]
fn a_large_file_is_refused_by_its_size_without_being_read() {
    let project = Project::with(&[]);
    // A terabyte of holes.
    project.put("big", "");
    let big = std::fs::File::options()
        .write(true)
        .open(project.at("big"))
        .unwrap();
    big.set_len(1 << 40).unwrap();
    project.put("fits", "x".repeat(100));
    project.put("over", "x".repeat(101));
    let options = LoadOptions {
        max_file_bytes: 100,
        ..recursive()
    };
    let (opened, gathered) = project.opened(&["."], || project.gather(&["."], &options).unwrap());
    assert_eq!(opened, ["fits"]);
    assert_eq!(paths_of(&gathered), ["fits"]);
    let lines: Vec<String> = gathered
        .skipped
        .iter()
        .map(|it| it.reason.to_string())
        .collect();
    assert_eq!(
        lines,
        [
            "1099511627776 bytes, the limit is 100",
            "101 bytes, the limit is 100"
        ]
    );
    // The options cannot lift the last limit.
    let options = LoadOptions {
        max_file_bytes: u64::MAX,
        ..recursive()
    };
    let gathered = project.gather(&["big"], &options).unwrap();
    let limit = FILE_BYTES_MAX;
    assert_eq!(
        gathered.skipped[0].reason,
        SkipReason::TooLarge {
            bytes: 1 << 40,
            limit
        }
    );
}

#[test]
fn a_line_that_nobody_typed_is_skipped_unless_the_file_is_named() {
    let project = Project::with(&[]);
    // Characters count, not bytes.
    project.put("long.js", "ä".repeat(20_001));
    project.put(
        "short.js",
        format!("{}\n{}", "ä".repeat(20_000), "a".repeat(20_000)),
    );
    for found in [".", "*.js"] {
        let gathered = project.gather(&[found], &recursive()).unwrap();
        assert_eq!(paths_of(&gathered), ["short.js"]);
        let reason = SkipReason::LongLines { characters: 20_001 };
        assert_eq!(gathered.skipped[0].reason, reason);
    }
    let (paths, skipped) = project.paths(&[".", "long.js"], &recursive());
    assert_eq!((paths.len(), skipped.as_str()), (2, ""));
}

#[test]
fn what_is_no_file_is_never_opened() {
    let project = Project::with(&["a.rs"]);
    // Nobody writes to the pipe and nobody listens: opening either would hang or fail.
    let pipe = project.at("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, pipe, rustix::fs::Mode::RWXU).unwrap();
    let _listener = UnixListener::bind(project.at("socket")).unwrap();
    let (opened, ()) = project.opened(&["."], || {
        for arguments in [&["."][..], &["*"], &["pipe", "socket", "a.rs"]] {
            let gathered = project.gather(arguments, &recursive()).unwrap();
            assert_eq!(paths_of(&gathered), ["a.rs"]);
            let line = |it: &Skipped| format!("{}: {}", it.path, it.reason);
            let reasons: Vec<String> = gathered.skipped.iter().map(line).collect();
            assert_eq!(reasons, ["pipe: a named pipe", "socket: a socket"]);
        }
    });
    assert_eq!(opened, ["a.rs"]);
}

#[test]
fn a_name_that_is_not_utf_8_is_shown_as_near_as_can_be() {
    let project = Project::with(&["a.rs"]);
    let name = OsStr::from_bytes(b"gr\xf6sser.rs");
    std::fs::File::create(project.root().join(name)).unwrap();
    let directory = OsStr::from_bytes(b"d\xe4");
    std::fs::create_dir(project.root().join(directory)).unwrap();
    std::fs::File::create(project.root().join(directory).join("x")).unwrap();
    let (paths, skipped) = project.paths(&["."], &recursive());
    assert_eq!(paths, ["a.rs"]);
    assert_eq!(
        skipped,
        "d\u{fffd}/: name_not_utf8, gr\u{fffd}sser.rs: name_not_utf8"
    );
}

#[test]
fn an_unreadable_file_is_listed_with_what_the_system_says() {
    let project = Project::with(&["a.rs", "locked/b.rs"]);
    let allow = |path: &str, mode: u32| {
        let permissions = PermissionsExt::from_mode(mode);
        std::fs::set_permissions(project.at(path), permissions).unwrap();
    };
    allow("a.rs", 0o000);
    allow("locked", 0o000);
    without_privilege(|| {
        for arguments in [&["."][..], &["a.rs", "locked"]] {
            let gathered = project.gather(arguments, &recursive()).unwrap();
            assert_eq!(paths_of(&gathered), [""; 0]);
            assert_eq!(
                skipped_of(&gathered),
                "a.rs: unreadable, locked/: unreadable"
            );
            let said = gathered.skipped[0].reason.to_string();
            assert!(said.starts_with("Permission denied"), "{said}");
        }
        let (_, skipped) = project.paths(&["locked/b.rs"], &plain());
        assert_eq!(skipped, "locked/b.rs: unreadable");
    });
    allow("locked", 0o700);
}

/// Runs `work` in a thread for which root's right to read everything does not hold.
fn without_privilege(work: impl FnOnce() + Send) {
    let drop_and_work = || {
        let mut sets = rustix::thread::capabilities(None).unwrap();
        sets.effective &= !(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
        rustix::thread::set_capabilities(None, sets).unwrap();
        work();
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("unprivileged".to_owned());
        thread.spawn_scoped(scope, drop_and_work).unwrap();
    });
}
