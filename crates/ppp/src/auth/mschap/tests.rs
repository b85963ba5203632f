use super::*;

const NAME: &[u8] = b"User";
const PASSWORD: &[u8] = b"clientPass";
const CHALLENGE: [u8; 16] = *b"[]|}{?/><,`!2&&(";
const PEER_CHALLENGE: [u8; 16] = *b"!@#$%^&*()_+:3|~";
const NT_RESPONSE: &str = "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF";
const AUTHENTICATOR_RESPONSE: &str = "407A5589115FD0D6209F510FE9C04566932CDA56";

fn exchange(name: &[u8]) -> Exchange<'_> {
    Exchange { challenge: &CHALLENGE, peer_challenge: &PEER_CHALLENGE, name }
}

/// RFC 2759 §9.2.
#[test]
fn the_published_exchange_gives_the_published_hashes() {
    assert_eq!(hex(&CHALLENGE), "5B5D7C7D7B3F2F3E3C2C602132262628");
    assert_eq!(hex(&PEER_CHALLENGE), "21402324255E262A28295F2B3A337C7E");
    assert_eq!(hex(&exchange(NAME).challenge_hash()), "D02E4386BCE91226");
    let password_hash = nt_password_hash(PASSWORD);
    assert_eq!(hex(&*password_hash), "44EBBA8D5312B8D611474411F56989AE");
    assert_eq!(hex(&hash_nt_password_hash(&password_hash)), "41C00C584BD2D91C4017A2A12FA59F3F");
    let nt_response = exchange(NAME).nt_response(PASSWORD);
    assert_eq!(hex(&nt_response), NT_RESPONSE);
    let response = exchange(NAME).authenticator_response(PASSWORD, &nt_response);
    assert_eq!(hex(&response), AUTHENTICATOR_RESPONSE);
}

/// RFC 2759 §9.3, whose keys have parity bits.
#[test]
fn seven_octets_make_a_des_key() {
    for (seven, key) in [("FC156AF7EDCD6C", "FD0B5B5E7F6E34D9"), ("0EDDE3337D427F", "0E6E796737EA08FE")] {
        let seven: [u8; 7] = unhex(seven.as_bytes()).unwrap();
        let key: [u8; 8] = unhex(key.as_bytes()).unwrap();
        assert_eq!(*des_key(&seven), key.map(|octet| octet & 0xfe));
    }
}

#[test]
fn the_domain_is_not_hashed() {
    for name in [&b"DOMAIN\\User"[..], b"\\User", b"A\\B\\User"] {
        assert_eq!(hex(&exchange(name).nt_response(PASSWORD)), NT_RESPONSE);
    }
    assert_ne!(exchange(b"User\\").challenge_hash(), exchange(NAME).challenge_hash());
    assert_eq!(exchange(b"User\\").challenge_hash(), exchange(b"").challenge_hash());
}

#[test]
fn passwords_are_unicode() {
    assert_eq!(hex(&*nt_password_hash(b"password")), "8846F7EAEE8FB117AD06BDD830B7586C");
    assert_eq!(hex(&*nt_password_hash("Käse€𝄞".as_bytes())), "D411C55AB9531F160AD30F3947BAEB3B");
    assert_eq!(hex(&*nt_password_hash(b"p\xe4\xff")), "042385638446CD198537EA5C064FBCC7", "ISO 8859-1");
}

#[test]
fn a_success_is_read_as_it_is_written() {
    let response = unhex(AUTHENTICATOR_RESPONSE.as_bytes()).unwrap();
    let message = success_message(&response, "Welcome");
    assert_eq!(message, format!("S={AUTHENTICATOR_RESPONSE} M=Welcome"));
    assert_eq!(parse_success(message.as_bytes()), Some(response));
    assert_eq!(success_words(message.as_bytes()), b"Welcome");
}

#[test]
fn a_success_needs_no_words_but_its_response() {
    let response = unhex(AUTHENTICATOR_RESPONSE.as_bytes());
    let lower = AUTHENTICATOR_RESPONSE.to_lowercase();
    for message in [format!("S={AUTHENTICATOR_RESPONSE}"), format!("S={lower} "), format!("S={lower}M=x")] {
        assert_eq!(parse_success(message.as_bytes()), response, "{message}");
    }
    let short = &AUTHENTICATOR_RESPONSE[1..];
    for message in ["", "M=Welcome", "S=", &format!("S={short}"), &format!("S={short}x M=")] {
        assert_eq!(parse_success(message.as_bytes()), None, "{message}");
        assert_eq!(success_words(message.as_bytes()), b"", "{message}");
    }
}

#[test]
fn a_failure_is_read_as_it_is_written() {
    let message = Failure::format(RejectCode::PASSWORD_EXPIRED, true, &CHALLENGE, "Too old");
    assert_eq!(message, "E=648 R=1 C=5B5D7C7D7B3F2F3E3C2C602132262628 V=3 M=Too old");
    assert_eq!(
        Failure::parse(message.as_bytes()),
        Failure {
            code: Some(RejectCode::PASSWORD_EXPIRED),
            retry: true,
            challenge: Some(CHALLENGE),
            message: b"Too old",
        }
    );
}

#[test]
fn a_failure_may_lack_anything() {
    let none = Failure { code: None, retry: false, challenge: None, message: b"" };
    let code = Some(RejectCode::AUTHENTICATION_FAILURE);
    for (message, failure) in [
        ("", none.clone()),
        ("Login incorrect", Failure { message: b"Login incorrect", ..none.clone() }),
        ("E=691", Failure { code, ..none.clone() }),
        ("E=691 R=0", Failure { code, ..none.clone() }),
        ("E=691 R=1 C=00 V=3", Failure { code, retry: true, ..none.clone() }),
        ("E=691 R=1 Go away", Failure { code, retry: true, message: b"Go away", ..none.clone() }),
        ("E=0000000691 M=R=1 C=2", Failure { code, message: b"R=1 C=2", ..none.clone() }),
        ("E=99999999999 M=", none.clone()),
        ("M=E=691", Failure { message: b"E=691", ..none.clone() }),
    ] {
        assert_eq!(Failure::parse(message.as_bytes()), failure, "{message}");
    }
}
