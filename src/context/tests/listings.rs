//! Trees and maps.

use super::*;

fn shaped(shape: Shape) -> LoadOptions {
    LoadOptions { shape, ..plain() }
}

#[test]
fn a_tree_lists_the_paths_below_each_argument() {
    let project = Project::with(&["src/a.rs", "src/b/c.rs", "target/x", "README.md"]);
    project.put(".gitignore", "/target\n");
    project.put("src/logo.bin", b"\0\x01");
    let gathered = project
        .gather(&["src", ".", "src/"], &shaped(Shape::Tree))
        .unwrap();
    let items: Vec<(&str, &str)> = gathered
        .loaded
        .iter()
        .map(|item| (item.name.as_str(), std::str::from_utf8(&item.body).unwrap()))
        .collect();
    let src = "src/a.rs\nsrc/b/c.rs\nsrc/logo.bin\n";
    let all = format!(".gitignore\nREADME.md\n{src}");
    assert_eq!(items, [(".", all.as_str()), ("src", src)]);
    assert_eq!(skipped_of(&gathered), "target/: ignored");
    let forced = LoadOptions {
        shape: Shape::Tree,
        ..forced()
    };
    let gathered = project.gather(&["."], &forced).unwrap();
    let body = String::from_utf8_lossy(&gathered.loaded[0].body).into_owned();
    assert!(body.contains("target/x\n"), "{body}");
}

#[test]
fn a_pattern_is_no_tree() {
    let project = Project::with(&["src/a.rs"]);
    let refused = project.refusal(&["sr*"], &shaped(Shape::Tree));
    assert!(
        matches!(refused, ContextError::BadPattern { .. }),
        "{refused}"
    );
}

#[test]
fn a_tree_is_outdated_when_a_path_comes_or_goes_and_not_when_a_file_changes() {
    let project = Project::with(&["src/a.rs"]);
    let item = project
        .gather(&["src"], &shaped(Shape::Tree))
        .unwrap()
        .loaded
        .remove(0);
    let fresh = || {
        let entry = entry_of(&item, crate::platform::clock::wall_ms());
        freshness(&project.source(), &[entry]).unwrap()[0]
            .clone()
            .unwrap()
    };
    assert_eq!(fresh(), Freshness::Fresh);
    project.put("src/a.rs", "other\n");
    assert_eq!(fresh(), Freshness::Fresh);
    project.put("src/b.rs", "");
    assert_eq!(fresh(), Freshness::Changed);
    std::fs::remove_file(project.at("src/b.rs")).unwrap();
    assert_eq!(fresh(), Freshness::Fresh);
    std::fs::remove_dir_all(project.at("src")).unwrap();
    assert_eq!(fresh(), Freshness::Missing);
}

#[cfg(not(feature = "maps"))]
#[test]
fn a_map_without_the_feature_is_refused() {
    let project = Project::with(&["src/a.rs"]);
    let refused = project.refusal(&["src"], &shaped(Shape::Map));
    assert_eq!(refused, ContextError::NoMaps);
}

#[cfg(feature = "maps")]
mod maps {
    use super::*;

    fn map(project: &Project) -> Loaded {
        project
            .gather(&["."], &shaped(Shape::Map))
            .unwrap()
            .loaded
            .remove(0)
    }

    #[test]
    fn each_language_has_its_outline_and_other_files_their_paths() {
        let project = Project::with(&["notes.txt"]);
        project.put(
            "a.rs",
            "mod m {\n    pub struct S<T> { x: T }\n}\nimpl<T> m::S<T> {\n    \
            /// Doc.\n    pub fn get(&self) -> Vec<T> { fn inner() {} }\n}\nconst N: u8 = 3;\n",
        );
        project.put(
            "b.py",
            "@d\nclass A(B):\n    def f(self, x):\n        def g(): pass\n\ndef h(): pass\n",
        );
        project.put(
            "c.go",
            "package p\ntype T struct { x int }\nfunc (t *T) Get(a int) error { return nil }\n",
        );
        project.put(
            "d.js",
            "export class A { m(x) {} }\nfunction f(a) {}\nconst g = (x) => x;\n",
        );
        project.put(
            "e.ts",
            "export interface I { m(x: number): string }\ntype U = I | null;\n\
            abstract class C<T> implements I { m(x: number) { return '' } }\n",
        );
        project.put("f.c", "#define N 3\nstruct s { int x; };\nint add(int a, int b);\nint add(int a,\n  int b) { return a; }\n");
        project.put("broken.rs", "fn whole() {}\nfn half( {\n");
        let map = map(&project);
        let body = String::from_utf8(map.body).unwrap();
        let expected = "\
a.rs
  mod m
    pub struct S<T>
  impl<T> m::S<T>
    pub fn get(&self) -> Vec<T>
  const N: u8
b.py
  class A(B)
    def f(self, x)
  def h()
broken.rs
  fn whole()
";
        assert!(body.starts_with(expected), "{body}");
        for line in [
            "  T struct { x int }",
            "  func (t *T) Get(a int) error",
            "  class A\n    m(x)",
            "  function f(a)",
            "  g\n",
            "  interface I\n    m(x: number): string",
            "  type U",
            "  abstract class C<T> implements I\n    m(x: number)",
            "  struct s",
            "  int add(int a, int b)\n  int add(int a, int b)",
            "notes.txt\n",
        ] {
            assert!(body.contains(line), "{line:?} is not in\n{body}");
        }
    }

    #[test]
    fn a_map_is_outdated_when_what_it_says_is() {
        let project = Project::with(&[]);
        project.put("a.rs", "fn one() {}\n");
        let item = map(&project);
        let fresh = |at_ms| {
            let entry = entry_of(&item, at_ms);
            freshness(&project.source(), &[entry]).unwrap()[0]
                .clone()
                .unwrap()
        };
        let now = crate::platform::clock::wall_ms();
        assert_eq!(fresh(now), Freshness::Fresh);
        // Another file with the same outline.
        project.put("a.rs", "fn one() { 1 }\n");
        assert_eq!(fresh(now), Freshness::Fresh);
        project.put("a.rs", "fn two() {}\n");
        assert_eq!(fresh(now), Freshness::Changed);
        assert_eq!(fresh(now + 3_600_000), Freshness::Changed);
    }

    #[test]
    fn whatever_a_file_holds_a_map_is_made() {
        let project = Project::with(&[]);
        let deep = "mod a {".repeat(5_000);
        for name in ["x.rs", "x.py", "x.go", "x.js", "x.ts", "x.tsx", "x.c"] {
            project.put(name, &deep);
        }
        project.put("y.rs", format!("fn {}() {{}}", "n".repeat(10_000)));
        let body = String::from_utf8(map(&project).body).unwrap();
        assert!(
            body.lines().all(|line| line.chars().count() < 300),
            "{body}"
        );
    }
}
