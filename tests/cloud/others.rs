//! Stores other than S3: Azure's, and Google's, for which an S3 stands in: there is no server of it to start here.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tfarrow::ReaderBuilder;

use crate::common::{Dir, assert_names, repo, tfarrow};
use crate::outputs::assert_written_alike;
use crate::server::{google, reader, s3};

const DIGITS: &str = "examples/data/digits/digits.tfrecord-*-of-*";
/// Those that every Azurite has, as its manual says.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Azurite, with a container; it is ended with the test.
struct Azurite {
    port: u16,
    child: Child,
}

impl Azurite {
    fn start() -> Option<Self> {
        let variable = |name| std::env::var_os(name).filter(|path| !path.is_empty());
        let (Some(azurite), Some(python)) = (variable("TFARROW_TEST_AZURITE"), variable("TFARROW_TEST_MOTO"))
        else {
            assert!(std::env::var_os("CI").is_none(), "TFARROW_TEST_AZURITE is not set; run ./test.sh");
            eprintln!("skipped: TFARROW_TEST_AZURITE is not set (./test.sh sets it)");
            return None;
        };
        let mut child = Command::new("node")
            .arg(azurite)
            .args(["--blobPort", "0", "--skipApiVersionCheck", "--inMemoryPersistence", "--silent"])
            .args(["--disableTelemetry"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines
            .filter(|line| line.contains("listens on"))
            .find_map(|line| line.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok()));
        let port: u16 = port.expect("a port");
        let made = Command::new(python)
            .arg(repo("tests/python/azure_container.py"))
            .args([&port.to_string(), "container"])
            .status()
            .unwrap();
        assert!(made.success());
        Some(Self { port, child })
    }

    fn options(&self) -> Vec<(&'static str, String)> {
        vec![
            ("azure_endpoint", format!("http://127.0.0.1:{}/{ACCOUNT}", self.port)),
            ("azure_allow_http", "true".to_owned()),
            ("azure_storage_account_name", ACCOUNT.to_owned()),
            ("azure_storage_account_key", KEY.to_owned()),
        ]
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn azure_is_written_to_and_read_from() {
    let Some(azurite) = Azurite::start() else { return };
    let store: Vec<String> = azurite
        .options()
        .iter()
        .flat_map(|(key, value)| ["--store".to_owned(), format!("{key}={value}")])
        .collect();
    let run = |args: &[&str]| {
        let store = store.iter().map(String::as_str);
        tfarrow(&args.iter().copied().chain(store).collect::<Vec<_>>())
    };
    let dir = Dir::new();
    for (name, more) in [
        ("d.parquet", &[][..]),
        ("d.npyd", &["--columns", "label,pixels"]),
        ("saved", &["--format", "saved", "--columns", "label"]),
        ("parts/", &["--format", "tfrecord"]),
        ("rows/", &["--rows-per-file", "500"]),
    ] {
        let there = format!("az://container/{name}");
        run(&[&["convert", DIGITS, "-o", &there, "--progress", "never"], more].concat()).success();
        tfarrow(&[&["convert", DIGITS, "-o", &dir.arg(name), "--progress", "never"], more].concat())
            .success();
        assert_names(
            &run(&[&["convert", DIGITS, "-o", &there], more].concat()).failure(),
            &["already", "--overwrite"],
        );
        if name.ends_with(".npyd") {
            continue;
        }
        let count = |builder: &ReaderBuilder| builder.count_checked().unwrap();
        let there = reader(&there, &azurite.options());
        assert_eq!(count(&there), count(&ReaderBuilder::new(dir.path(name))), "{name}");
    }
    // A block of an upload in parts, and ranges of what came of it.
    let blocks = dir.path("blocks.tfrecord");
    let record = crate::common::example(&[("x", &vec![7; 1 << 20])]);
    std::fs::write(&blocks, crate::common::tfrecord(&vec![record; 20])).unwrap();
    run(&["convert", blocks.to_str().unwrap(), "-o", "az://container/b.arrow", "--progress", "never"])
        .success();
    run(&["convert", "az://container/b.arrow", "-o", &dir.arg("b.arrow")]).success();
    tfarrow(&["convert", blocks.to_str().unwrap(), "-o", &dir.arg("c.arrow")]).success();
    assert_eq!(tfarrow(&["count", &dir.arg("b.arrow")]).text(), "20\n");
    let count = |name: &str| reader(name, &azurite.options()).count().map_err(|e| e.to_string());
    assert_eq!(count("az://container/parts/part-*"), Ok(1797));
    assert_names(&count("az://container/none").unwrap_err(), &["not found", "az://container/none"]);
    assert_names(&count("az://no-container/x.parquet").unwrap_err(), &["ContainerNotFound"]);
    let anonymous: Vec<_> = azurite.options().into_iter().take(3).collect();
    let error = reader("az://container/d.parquet", &anonymous).count().unwrap_err().to_string();
    assert_names(&error, &["403", "there are no credentials", "AZURE_STORAGE_ACCOUNT_KEY"]);
    let error = reader("az://container/d.parquet", &anonymous[..1]).count().unwrap_err().to_string();
    assert_names(&error, &["AZURE_STORAGE_ACCOUNT_NAME"]);
}

/// What answers as S3 does answers what is asked of Google's store for reading, too.
#[test]
fn google_is_read_from() {
    let Some(server) = s3() else { return };
    let bucket = server.bucket();
    bucket.put_path("digits", &repo("examples/data/digits"));
    let options = [
        ("google_base_url", format!("http://127.0.0.1:{}", server.port)),
        ("allow_http", "true".to_owned()),
        ("google_skip_signature", "true".to_owned()),
    ];
    for name in ["digits/digits.tfrecord-*", "digits/digits.tfrecord-00000-of-00002"] {
        let there = reader(&format!("gs://{}/{name}", bucket.name), &options);
        let here = ReaderBuilder::new(repo("examples/data").join(name));
        assert_eq!(there.count_checked().unwrap(), here.count_checked().unwrap(), "{name}");
    }
    let error = reader(&format!("gs://{}/none", bucket.name), &options).count().unwrap_err().to_string();
    assert_names(&error, &["not found", &format!("gs://{}/none", bucket.name)]);
}

#[test]
fn google_is_written_to() {
    let Some(server) = google() else { return };
    let bucket = server.bucket();
    // The account of a service, as its file says it, that needs no token.
    let account = format!(
        r#"{{"gcs_base_url":"http://127.0.0.1:{}","disable_oauth":true,"client_email":"a","private_key":"b","private_key_id":"c"}}"#,
        server.port
    );
    let store = ["--store", "allow_http=true", "--store", &format!("google_service_account_key={account}")];
    let run = |args: &[&str]| tfarrow(&[args, &store].concat());
    let dir = Dir::new();
    let large = dir.arg("large.tfrecord");
    let record = crate::common::example(&[("x", &vec![7; 1 << 20])]);
    std::fs::write(&large, crate::common::tfrecord(&vec![record; 20])).unwrap();
    for (input, name, more) in [
        (DIGITS, "d.parquet", &[][..]),
        (DIGITS, "d.npyd", &["--columns", "label,pixels"]),
        (DIGITS, "saved", &["--format", "saved", "--columns", "label"]),
        (DIGITS, "rows/", &["--rows-per-file", "500"]),
        // In several parts, of one upload.
        (&large, "large.arrow", &[]),
    ] {
        let folder = format!("{}.d", name.trim_end_matches('/'));
        std::fs::create_dir(dir.path(&folder)).unwrap();
        let (there, here) =
            (format!("gs://{}/{folder}/{name}", bucket.name), dir.arg(&format!("{folder}/{name}")));
        run(&[&["convert", input, "-o", &there], more].concat()).success();
        tfarrow(&[&["convert", input, "-o", &here, "--progress", "never"], more].concat()).success();
        let refused = run(&[&["convert", input, "-o", &there], more].concat()).failure();
        assert_names(&refused, &["already", "--overwrite"]);
        assert_written_alike(&bucket, &dir, &folder);
        assert_eq!(bucket.uploads(), [""; 0], "{name}");
    }
    let count = run(&["count", &format!("gs://{}/large.arrow.d/large.arrow", bucket.name)]).success();
    assert_eq!(count.text(), "20\n");
    // What is replaced, and what goes on.
    let at = |name: &str| format!("gs://{}/{name}", bucket.name);
    run(&["convert", &large, "-o", &at("d.parquet.d/d.parquet"), "--overwrite"]).success();
    assert_eq!(run(&["count", &at("d.parquet.d/d.parquet")]).success().text(), "20\n");
    bucket.delete("rows.d/rows/part-00002.parquet");
    run(&["convert", DIGITS, "-o", &at("rows.d/rows/"), "--rows-per-file", "500", "--resume"]).success();
    assert_written_alike(&bucket, &dir, "rows.d");
}
