//! Disks that lie: what is damaged is found, never believed, and healed when written again.

use super::*;

/// Every way of damaging a file that a power cut or a bad sector knows.
fn damages(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut flipped = bytes.to_vec();
    flipped[bytes.len() / 2] ^= 0x10;
    vec![
        ("empty", Vec::new()),
        ("zeros", vec![0; bytes.len()]),
        ("half", bytes[..bytes.len() / 2].to_vec()),
        ("one byte short", bytes[..bytes.len() - 1].to_vec()),
        ("a bit flipped", flipped),
        ("something else", b"not at all what it was".to_vec()),
    ]
}

#[test]
fn writing_again_heals() {
    let fixture = Fixture::new();
    let first = commit(&fixture.repo, None, &[put("a", "1"), put("b", "2")]);
    let before = packs(fixture.repo.path(), "pack");
    let changes = [put("a", "one"), put("c/d", &"text ".repeat(500))];
    let second = commit(&fixture.repo, Some(&first), &changes);
    let second_pack = packs(fixture.repo.path(), "pack")
        .into_iter()
        .find(|p| !before.contains(p));
    let pack = second_pack.unwrap();
    for path in [pack.clone(), pack.with_extension("idx")] {
        let good = std::fs::read(&path).unwrap();
        for (how, bad) in damages(&good) {
            overwrite(&path, &bad);
            let name = path.display();
            assert_eq!(
                fixture.other().verify(&first, Depth::Full),
                [],
                "{how}: {name}"
            );
            let again = commit(&fixture.other(), Some(&first), &changes);
            assert_eq!(again, second);
            assert_eq!(
                fixture.other().verify(&second, Depth::Full),
                [],
                "{how}: {name}"
            );
            assert!(std::fs::read(&path).unwrap() == good, "{how}: {name}");
        }
    }
    fixture.repo.mirror(BRANCH, &second).unwrap();
    fsck(fixture.repo.path());
}

#[test]
fn a_good_copy_is_found_behind_a_damaged_one() {
    let fixture = Fixture::new();
    let text = "text ".repeat(500);
    let first = commit(&fixture.repo, None, &[put("a", &text)]);
    let damaged = packs(fixture.repo.path(), "pack").remove(0);
    // The same content in a version of its own: its object is in two packs now.
    commit(&fixture.repo, None, &[put("b", &text), put("c", "more")]);
    let good = std::fs::read(&damaged).unwrap();
    let blob = blob_id(text.as_bytes()).unwrap();
    for (how, bad) in damages(&good) {
        overwrite(&damaged, &bad);
        assert!(
            fixture.other().blob(&blob).unwrap() == text.as_bytes(),
            "{how}"
        );
    }
    overwrite(&damaged, b"");
    assert!(
        fixture.other().log(&first, 1).is_err(),
        "of the commit there was one copy"
    );
}

#[test]
fn a_bad_loose_file_of_the_same_name_goes() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let blob = blob_id(b"content").unwrap();
    let loose = repo
        .path()
        .join("objects")
        .join(&blob[..2])
        .join(&blob[2..]);
    std::fs::create_dir(loose.parent().unwrap()).unwrap();
    for bad in [&b""[..], b"\x78\x01garbage"] {
        overwrite(&loose, bad);
        let version = commit(&repo, None, &[put("a", "content")]);
        assert_eq!(repo.file(&version, "a").unwrap().unwrap(), b"content");
        assert!(!loose.exists());
        repo.mirror(BRANCH, &version).unwrap();
        fsck(repo.path());
    }
}

/// gix maps these files and believes the numbers in them: no damage may crash this process, take
/// all its memory, or come back as content.
#[test]
fn every_flipped_byte_is_found() {
    let fixture = Fixture::new();
    let changes = [
        put("a", "some text that is long enough"),
        put("d/b", "2"),
        put("d/e/c", ""),
    ];
    let version = commit(&fixture.repo, None, &changes);
    let all = contents(&fixture.repo, &version);
    let (pack, index) = (
        packs(fixture.repo.path(), "pack"),
        packs(fixture.repo.path(), "idx"),
    );
    let mut unnoticed = Vec::new();
    for path in [&pack[0], &index[0]] {
        let good = std::fs::read(path).unwrap();
        for n in 0..good.len() {
            let mut bad = good.clone();
            bad[n] ^= [0xff, 0x80, 0x10, 0x01][n % 4];
            overwrite(path, &bad);
            let repo = fixture.other();
            let damage = repo.verify(&version, Depth::Full);
            if damage.is_empty() {
                assert_eq!(
                    contents(&repo, &version),
                    all,
                    "byte {n} of {}",
                    path.display()
                );
                unnoticed.push((path.extension().unwrap().to_owned(), n));
            }
        }
        overwrite(path, &good);
    }
    // What nothing needs to be read: the pack's count and trailers, the checksum of a stream whose
    // content is hashed anyway, the index's table of bytes that no id starts with.
    let length = usize::try_from(std::fs::metadata(&pack[0]).unwrap().len()).unwrap();
    let in_pack = unnoticed
        .iter()
        .filter(|(extension, _)| extension == "pack")
        .count();
    assert!(
        in_pack < length / 3,
        "{in_pack} of {length} bytes of the pack went unnoticed"
    );
}

#[test]
fn verify_names_what_is_wrong_and_where() {
    let fixture = Fixture::new();
    let repo = &fixture.repo;
    let first = commit(repo, None, &[put("d/a", "the first"), put("d/b", "stays")]);
    let old = packs(repo.path(), "idx").remove(0);
    let second = commit(repo, Some(&first), &[put("d/a", "the second")]);
    assert_eq!(repo.verify(&second, Depth::Full), []);

    std::fs::remove_file(&old).unwrap();
    std::fs::remove_file(old.with_extension("pack")).unwrap();
    let repo = fixture.other();
    let stays = blob_id(b"stays").unwrap();
    let tip = repo.verify(&second, Depth::Tip);
    assert_eq!(tip.len(), 1, "{tip:?}");
    assert_eq!(tip[0].object, stays);
    assert_eq!(tip[0].place, format!("version {second}, file /d/b"));
    assert!(
        tip[0].problem.ends_with("it is missing"),
        "{}",
        tip[0].problem
    );

    let full = repo.verify(&second, Depth::Full);
    let objects: Vec<&str> = full.iter().map(|damage| damage.object.as_str()).collect();
    assert_eq!(objects, [stays, first.to_string()]);
    assert_eq!(full[1].place, format!("version {first}"));

    let error = format!("{:#}", repo.log(&second, 9).unwrap_err());
    assert!(
        error.contains(&first.to_string()) && error.contains("missing"),
        "{error}"
    );
    let error = repo
        .commit(Some(&first), &[put("x", "1")], "", "m", 0)
        .unwrap_err();
    assert!(
        format!("{error:#}").contains(&first.to_string()),
        "{error:#}"
    );
}

#[test]
fn a_directory_that_cannot_be_read_stops_only_changes_in_it() {
    let fixture = Fixture::new();
    let first = commit(&fixture.repo, None, &[put("bad/a", "1")]);
    let old = packs(fixture.repo.path(), "idx").remove(0);
    let second = commit(&fixture.repo, Some(&first), &[put("good/b", "2")]);
    std::fs::remove_file(&old).unwrap();
    std::fs::remove_file(old.with_extension("pack")).unwrap();

    let repo = fixture.other();
    let third = repo
        .commit(Some(&second), &[put("good/c", "3")], "", "m", 0)
        .unwrap();
    assert_eq!(repo.file(&third, "good/c").unwrap().unwrap(), b"3");
    assert!(
        repo.commit(Some(&second), &[put("bad/c", "3")], "", "m", 0)
            .is_err()
    );
    assert!(
        repo.file(&third, "bad/a").is_err(),
        "not `None`: it is there, and lost"
    );
    // The whole directory can still be put anew.
    let fresh = [remove("bad"), put("bad/a", "1")];
    let healed = repo.commit(Some(&third), &fresh, "", "m", 0).unwrap();
    assert_eq!(repo.verify(&healed, Depth::Tip), []);
}
