//! Digest access authentication (RFC 7616): a challenge is read, and each request answers it.
//!
//! `auth-int`, which hashes the body too, is not here: nobody asks for it alone. The nonce count is kept by whoever
//! keeps the challenge.

use md5::{Digest as _, Md5};
use ring::digest::{SHA256, SHA512_256, digest};

use super::Outgoing;
use crate::core::secret::{Masked, Secret};
use crate::core::sign::hex;

/// Who answers.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user's name.
    pub username: String,
    /// What only both sides know.
    pub password: Secret,
}

/// The hash of a challenge, the strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hash {
    Md5,
    Sha256,
    Sha512,
}

/// A challenge that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    hash: Hash,
    session: bool,
    /// The algorithm as it was named; `None`: it was not.
    algorithm: Option<String>,
    /// False for a server of RFC 2069, which knows no `qop`.
    qop: bool,
    userhash: bool,
    /// The nonce before was too old; the credentials are good.
    pub stale: bool,
}

impl Challenge {
    /// The strongest challenge that can be answered, of all `www-authenticate` headers.
    ///
    /// # Errors
    /// A sentence's end: what is asked for instead.
    pub fn strongest<'a>(headers: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let all: Vec<Asked> = headers.flat_map(asked).collect();
        let digests: Vec<&Asked> = all.iter().filter(|asked| asked.scheme.eq_ignore_ascii_case("digest")).collect();
        if digests.is_empty() {
            let names: Vec<String> = all.iter().map(|asked| format!("`{}`", asked.scheme)).collect();
            return Err(match names.as_slice() {
                [] => "it sent no challenge to answer".to_owned(),
                names => format!("it asks for {}; write that as `auth.type`", names.join(" or ")),
            });
        }
        let readable = digests.iter().filter_map(|asked| Self::read(asked));
        readable.max_by_key(|challenge| challenge.hash).ok_or_else(|| {
            "its challenge can't be answered: it has no `nonce`, or an algorithm or `qop` that is not known".to_owned()
        })
    }

    fn read(asked: &Asked) -> Option<Self> {
        let find = |name: &str| asked.params.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let is_true = |name: &str| find(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let algorithm = find("algorithm");
        let name = algorithm.unwrap_or("MD5").to_ascii_uppercase();
        let session = name.ends_with("-SESS");
        let hash = match name.trim_end_matches("-SESS") {
            "MD5" => Hash::Md5,
            "SHA-256" => Hash::Sha256,
            "SHA-512-256" => Hash::Sha512,
            _ => return None,
        };
        let qop = match find("qop") {
            None => false,
            Some(offered) if offered.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")) => true,
            Some(_) => return None,
        };
        Some(Self {
            realm: find("realm").unwrap_or_default().to_owned(),
            nonce: find("nonce")?.to_owned(),
            opaque: find("opaque").map(str::to_owned),
            hash,
            session,
            algorithm: algorithm.map(str::to_owned),
            qop,
            userhash: is_true("userhash"),
            stale: is_true("stale"),
        })
    }

    /// Is this the nonce of `other`, too?
    pub fn repeats(&self, other: &Self) -> bool {
        self.nonce == other.nonce
    }

    /// The value of `authorization` that answers with this request, the `count`th (from 1) under this nonce.
    pub fn answer(&self, account: &Account, request: &Outgoing<'_>, count: u32, cnonce: &str) -> Masked {
        let Account { username, password } = account;
        let Self { realm, nonce, .. } = self;
        let mut a1 = self.h(&format!("{username}:{realm}:{}", password.expose()));
        if self.session {
            a1 = self.h(&format!("{a1}:{nonce}:{cnonce}"));
        }
        let target = request.target();
        let a2 = self.h(&format!("{}:{target}", request.method));
        let count = format!("{count:08x}");
        let middle = if self.qop { format!("{nonce}:{count}:{cnonce}:auth") } else { nonce.clone() };
        let response = self.h(&format!("{a1}:{middle}:{a2}"));
        let user = if self.userhash { self.h(&format!("{username}:{realm}")) } else { username.clone() };
        let mut parts = vec![named_user(&user), quoted("realm", realm), quoted("nonce", nonce), quoted("uri", target)];
        parts.extend(self.algorithm.iter().map(|name| format!("algorithm={name}")));
        if self.qop {
            parts.extend([format!("nc={count}"), quoted("cnonce", cnonce), "qop=auth".to_owned()]);
        } else if self.session {
            parts.push(quoted("cnonce", cnonce));
        }
        parts.extend(self.opaque.iter().map(|opaque| quoted("opaque", opaque)));
        if self.userhash {
            parts.push("userhash=true".to_owned());
        }
        let with = |response: &str| format!("Digest {}, response=\"{response}\"", parts.join(", "));
        Masked::new(with(&response), with("***"))
    }

    fn h(&self, text: &str) -> String {
        match self.hash {
            Hash::Md5 => hex(&Md5::digest(text.as_bytes())),
            Hash::Sha256 => hex(digest(&SHA256, text.as_bytes()).as_ref()),
            Hash::Sha512 => hex(digest(&SHA512_256, text.as_bytes()).as_ref()),
        }
    }
}

fn quoted(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A name beyond ASCII is sent as RFC 8187, section 3.2, has it (RFC 7616, section 3.4).
fn named_user(user: &str) -> String {
    if user.is_ascii() {
        return quoted("username", user);
    }
    let encoded = percent_encoding::utf8_percent_encode(user, percent_encoding::NON_ALPHANUMERIC);
    format!("username*=UTF-8''{encoded}")
}

/// One challenge of a `www-authenticate` header (RFC 9110, section 11.6.1).
struct Asked {
    scheme: String,
    params: Vec<(String, String)>,
}

/// The challenges of one header: a word that no `=` follows begins the next one.
fn asked(header: &str) -> Vec<Asked> {
    let mut found: Vec<Asked> = Vec::new();
    let mut rest = header.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let value = after.trim_start().strip_prefix('=').filter(|_| !word.is_empty());
        rest = match value {
            Some(value) => {
                let (value, left) = param(value.trim_start());
                if let Some(last) = found.last_mut() {
                    last.params.push((word.to_ascii_lowercase(), value));
                }
                left
            }
            None => {
                if !word.is_empty() {
                    found.push(Asked { scheme: word.to_owned(), params: Vec::new() });
                }
                after.trim_start_matches('=')
            }
        };
        rest = rest.trim_start_matches([' ', '\t', ',']);
    }
    found
}

/// A parameter's value, quoted or not, and what is after it.
fn param(text: &str) -> (String, &str) {
    let Some(inside) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &inside[at + 1..]),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::Timestamp;
    use http::{HeaderMap, Method};

    const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";

    fn answer(challenge: &Challenge, user: &str, password: &str, url: &str, cnonce: &str) -> String {
        let account = Account { username: user.to_owned(), password: Secret::new(password) };
        let url = url.parse().expect("a URL");
        let headers = HeaderMap::new();
        let request = Outgoing { method: &Method::GET, url: &url, headers: &headers, body: b"", now: Timestamp(0) };
        let answer = challenge.answer(&account, &request, 1, cnonce);
        assert!(answer.shown().ends_with("response=\"***\""), "{answer}");
        answer.expose().to_owned()
    }

    fn response(answer: &str) -> &str {
        answer.rsplit_once("response=\"").map_or("", |(_, rest)| rest.trim_end_matches('"'))
    }

    /// RFC 7616, section 3.9.1: two challenges, of which the stronger is answered.
    #[test]
    fn the_first_example_of_the_rfc_is_answered_as_it_says() {
        let challenge = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"{NONCE}\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        let (md5, sha) = (challenge("MD5"), challenge("SHA-256"));
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let of = |headers: &[&str]| {
            let challenge = Challenge::strongest(headers.iter().copied()).expect("a challenge");
            answer(&challenge, "Mufasa", "Circle of Life", "http://www.example.org/dir/index.html", cnonce)
        };
        assert_eq!(response(&of(&[&md5])), "8ca523f5e9506fed4657c9700eebdbec");
        let strong = of(&[&sha, &md5]);
        assert_eq!(response(&strong), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
        for part in ["uri=\"/dir/index.html\"", "algorithm=SHA-256", "nc=00000001", "qop=auth,", "username=\"Mufasa\""]
        {
            assert!(strong.contains(part), "{part}: {strong}");
        }
        assert_eq!(of(&[&format!("Basic realm=\"a, b\", {sha}, Negotiate abc==")]), strong, "in one header");
    }

    /// The challenge of RFC 7616, section 3.9.2. Its response is not compared: the published one is disputed by errata.
    #[test]
    fn a_user_may_be_named_by_a_hash() {
        let header = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
                      nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", \
                      opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", charset=UTF-8, userhash=true";
        let challenge = Challenge::strongest([header].into_iter()).expect("a challenge");
        let url = "http://api.example.org/doe.json";
        let answer =
            answer(&challenge, "J\u{e4}s\u{f8}n Doe", "Secret, or not?", url, "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm");
        assert!(answer.contains("username=\"") && answer.contains("userhash=true"), "{answer}");
        assert!(!answer.contains("Doe"), "{answer}");
    }

    /// RFC 2617, section 3.5, without `qop`: what RFC 2069 made of it.
    #[test]
    fn a_server_of_the_first_rfc_is_answered_too() {
        let header = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", stale=TRUE";
        let challenge = Challenge::strongest([header].into_iter()).expect("a challenge");
        assert!(challenge.stale);
        let answer = answer(&challenge, "Mufasa", "Circle Of Life", "http://h/dir/index.html", "0a4f113b");
        assert_eq!(response(&answer), "670fd8c2df070c60b045671b8b24ff02");
        assert!(!answer.contains("qop") && !answer.contains("cnonce") && !answer.contains("algorithm"), "{answer}");
    }

    #[test]
    fn a_session_key_is_made_of_both_nonces() {
        let header = "Digest realm=\"r\", nonce=\"n\", qop=auth, algorithm=MD5-sess";
        let challenge = Challenge::strongest([header].into_iter()).expect("a challenge");
        let answer = answer(&challenge, "u", "p", "http://h/?a=1", "c");
        assert_eq!(response(&answer), "e897c2a99fd0b148d6ee9da0fa1456cf");
    }

    #[test]
    fn what_can_not_be_answered_is_said() {
        let refused = |headers: &[&str]| Challenge::strongest(headers.iter().copied()).expect_err("a refusal");
        assert_eq!(refused(&["Basic realm=\"x\""]), "it asks for `Basic`; write that as `auth.type`");
        assert_eq!(refused(&[]), "it sent no challenge to answer");
        for header in ["Digest", "Digest nonce=\"n\", algorithm=X", "Digest nonce=\"n\", qop=\"auth-int\""] {
            assert!(refused(&[header]).contains("can't be answered"), "{header}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_challenge_is_too_strange_to_be_read(header in "[ -~]{0,60}") {
            let _ = Challenge::strongest([header.as_str()].into_iter());
        }
    }
}
