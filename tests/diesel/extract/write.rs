//! Writing the modules and the tests.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::example::Example;
use crate::exceptions::{self, Exception, Kind};
use crate::source::File;

pub fn everything(files: &[File], examples: &[Example]) {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo says it"));
    let [tracked, bare] = ["tracked", "bare"].map(|directory| out.join(directory));
    set_up(files, &tracked, &bare);
    let (mut modules, mut tests, mut exceptions) = (String::new(), String::new(), String::new());
    for example in examples {
        match exceptions::of(example) {
            None => {
                module(&mut modules, example, &tracked);
                test(&mut tests, example);
            }
            Some(found) => exception(&mut exceptions, example, found, [&tracked, &bare]),
        }
    }
    save(&out.join("examples.rs"), &modules);
    save(&out.join("tests.rs"), &tests);
    save(&out.join("exceptions.md"), &exceptions);
}

fn save(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("it can be made");
    fs::write(path, text).expect("it can be written");
}

/// The files that examples include.
fn set_up(files: &[File], tracked: &Path, bare: &Path) {
    for file in files {
        if file.name.to_string_lossy().ends_with("setup.rs") {
            let attached = file.text.replace("::establish(", "::attached(");
            save(&tracked.join(&file.name), &attached);
            save(&bare.join(&file.name), &file.text);
        }
    }
}

fn module(modules: &mut String, example: &Example, tracked: &Path) {
    let name = example.name();
    let original = tracked.join(&example.file);
    let path = original.with_file_name(format!("{name}.rs"));
    let works = "pub fn works() { crate::finish(main()) }";
    save(&path, &format!("{}\n\n{works}\n", example.text));
    let _ = writeln!(modules, "#[path = {path:?}] pub mod {name};");
}

fn test(tests: &mut String, example: &Example) {
    let name = example.name();
    let _ = writeln!(
        tests,
        "#[test] fn {name}() {{ alone(documentation::examples::{name}::works); }}"
    );
}

/// A test in documentation, by which rustdoc sees that the exception still is one.
fn exception(document: &mut String, example: &Example, exception: &Exception, roots: [&Path; 2]) {
    let [ours, theirs] = roots.map(|root| included(example, root));
    let theirs = theirs.replace("extern crate diesel;", "");
    let theirs = format!("extern crate upstream as diesel;\n{theirs}");
    let [tracked, bare] = match exception.kind {
        Kind::Works => ["", "no_run"],
        Kind::NeedsBareConnection => ["compile_fail", "no_run"],
        Kind::NeedsDieselAlone => ["compile_fail", "compile_fail"],
    };
    let _ = write!(
        document,
        "# {}\n{}\n```{tracked}\n{ours}\n```\n```{bare}\n{theirs}\n```\n",
        example.name(),
        exception.because
    );
}

/// The text with the whole paths of what it includes.
fn included(example: &Example, root: &Path) -> String {
    let file = root.join(&example.file);
    let directory = file.parent().expect("a directory");
    // The path goes through it, even if nothing else is in it.
    fs::create_dir_all(directory).expect("it can be made");
    let include = format!("include!(\"{}/", directory.display());
    example.text.replace("include!(\"", &include)
}
