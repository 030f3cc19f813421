//! From a frame to the IP in it: link types, tags and tunnels. Knows lengths only; what is inside IP is in `ip`.

/// Maximum number of headers that are skipped in front of one IP packet.
const MAX_HEADERS: usize = 8;

/// Why a frame or packet is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unread {
    /// It ends before the header that would say what it is.
    Short,
    /// A protocol that carries no TCP.
    Other(&'static str),
    /// An Ethernet type, or a protocol of IP, that is not known here.
    Type(u16),
    Protocol(u8),
    /// A layer that may have TCP inside, and cannot be looked into.
    Closed(&'static str),
}

/// Returns true for a link type that is read.
#[must_use]
pub const fn is_read(link: u16) -> bool {
    matches!(link, 0 | 1 | 9 | 12 | 14 | 50 | 51 | 101 | 104 | 105 | 108 | 113 | 127 | 228 | 229 | 276)
}

/// The IP packet of a frame of this link type.
///
/// # Errors
/// It holds none that can be read.
pub fn ip(link: u16, frame: &[u8]) -> Result<&[u8], Unread> {
    match link {
        1 => ethernet(frame, 0),
        // The loopback of BSD and macOS: a number of the system, in the order of its bytes.
        0 | 108 => behind(frame, 4),
        9 | 50 => ppp(frame),
        51 => pppoe(frame),
        12 | 14 | 101 | 228 | 229 => Ok(frame),
        104 => typed(short(frame, 2)?, behind(frame, 4)?, 0),
        105 => wifi(frame),
        127 => wifi(behind(frame, usize::from(short(frame, 2)?.swap_bytes()))?),
        // Linux's "any", of both versions.
        113 => typed(short(frame, 14)?, behind(frame, 16)?, 0),
        276 => typed(short(frame, 0)?, behind(frame, 20)?, 0),
        _ => Err(Unread::Other("a link type that is not known")),
    }
}

/// The IP packet inside of one, or of UDP in it: what this protocol of IP carries.
///
/// # Errors
/// It carries none that can be read.
pub fn inside(protocol: u8, bytes: &[u8]) -> Result<&[u8], Unread> {
    match protocol {
        4 | 41 => Ok(bytes),
        17 => udp(bytes),
        47 => gre(bytes),
        97 => ethernet(behind(bytes, 2)?, 1),
        137 => mpls(bytes, 1),
        1 | 58 => Err(Unread::Other("ICMP")),
        2 => Err(Unread::Other("IGMP")),
        89 => Err(Unread::Other("OSPF")),
        112 => Err(Unread::Other("VRRP")),
        132 => Err(Unread::Other("SCTP")),
        50 => Err(Unread::Closed("IPsec (ESP)")),
        108 => Err(Unread::Closed("IPComp")),
        115 => Err(Unread::Closed("L2TP")),
        other => Err(Unread::Protocol(other)),
    }
}

fn ethernet(frame: &[u8], depth: usize) -> Result<&[u8], Unread> {
    typed(short(frame, 12)?, behind(frame, 14)?, depth)
}

/// Reads what follows an Ethernet type.
fn typed(kind: u16, rest: &[u8], depth: usize) -> Result<&[u8], Unread> {
    if depth >= MAX_HEADERS {
        return Err(Unread::Closed("more than 8 tunnels or tags"));
    }
    match kind {
        0x0800 | 0x86dd => Ok(rest),
        // Tags of VLANs, and a provider's around a whole frame.
        0x8100 | 0x88a8 | 0x9100 | 0x9200 => typed(short(rest, 2)?, behind(rest, 4)?, depth + 1),
        0x88e7 => ethernet(behind(rest, 4)?, depth + 1),
        0x8847 | 0x8848 => mpls(rest, depth + 1),
        0x8864 => pppoe(rest),
        0x880b => ppp(rest),
        0x6558 => ethernet(rest, depth + 1),
        // A length: what follows names its type after three bytes of LLC and three of SNAP, or has none.
        0..0x0600 if rest.starts_with(&[0xaa, 0xaa, 3]) => typed(short(rest, 6)?, behind(rest, 8)?, depth + 1),
        0..0x0600 => Err(Unread::Other("LLC")),
        0x0806 => Err(Unread::Other("ARP")),
        0x8863 => Err(Unread::Other("PPPoE discovery")),
        0x88cc => Err(Unread::Other("LLDP")),
        0x888e => Err(Unread::Other("EAPOL")),
        0x88e5 => Err(Unread::Closed("MACsec")),
        other => Err(Unread::Type(other)),
    }
}

/// Labels up to the last one, then IP; or a frame, which a word of control may precede (RFC 3032, RFC 4448).
fn mpls(mut rest: &[u8], depth: usize) -> Result<&[u8], Unread> {
    for _ in 0..MAX_HEADERS {
        let last = byte(rest, 2)? & 1 != 0;
        rest = behind(rest, 4)?;
        if last {
            return match byte(rest, 0)? >> 4 {
                4 | 6 => Ok(rest),
                0 => typed(short(rest, 16)?, behind(rest, 18)?, depth),
                _ => typed(short(rest, 12)?, behind(rest, 14)?, depth),
            };
        }
    }
    Err(Unread::Closed("MPLS with more than 8 labels"))
}

/// A session's packet (RFC 2516 section 4).
fn pppoe(rest: &[u8]) -> Result<&[u8], Unread> {
    match byte(rest, 1)? {
        0 => ppp(behind(rest, 6)?),
        _ => Err(Unread::Other("PPPoE discovery")),
    }
}

/// PPP, perhaps with its address and control, and with a protocol of one or two bytes (RFC 1661 section 6.5).
fn ppp(rest: &[u8]) -> Result<&[u8], Unread> {
    let rest = rest.strip_prefix(&[0xff, 3]).unwrap_or(rest);
    let first = byte(rest, 0)?;
    let (protocol, rest) = match first & 1 {
        1 => (u16::from(first), behind(rest, 1)?),
        _ => (short(rest, 0)?, behind(rest, 2)?),
    };
    match protocol {
        0x21 | 0x57 => Ok(rest),
        0x281 | 0x283 => mpls(rest, 1),
        0x53 | 0xfd => Err(Unread::Closed("PPP that is encrypted or compressed")),
        _ => Err(Unread::Other("PPP control")),
    }
}

/// RFC 2784, RFC 2890; version 1 is that of PPTP (RFC 2637 section 4.1).
fn gre(bytes: &[u8]) -> Result<&[u8], Unread> {
    let (flags, kind) = (short(bytes, 0)?, short(bytes, 2)?);
    let has = |flag: u16, size: usize| if flags & flag != 0 { size } else { 0 };
    if flags & 7 == 1 {
        return ppp(behind(bytes, 8 + has(0x1000, 4) + has(0x80, 4))?);
    }
    let rest = behind(bytes, 4 + has(0xc000, 4) + has(0x2000, 4) + has(0x1000, 4))?;
    match kind {
        // Mirrored frames (ERSPAN) of all three types: the first has no header, and no number either.
        0x88be => ethernet(behind(rest, has(0x1000, 8))?, 1),
        0x22eb => ethernet(behind(rest, if byte(rest, 11)? & 1 != 0 { 20 } else { 12 })?, 1),
        // WCCP, with its header or without.
        0x883e if byte(rest, 0)? >> 4 == 4 => Ok(rest),
        0x883e => behind(rest, 4),
        kind => typed(kind, rest, 1),
    }
}

/// Tunnels in UDP, by their ports.
fn udp(bytes: &[u8]) -> Result<&[u8], Unread> {
    let (from, to, rest) = (short(bytes, 0)?, short(bytes, 2)?, behind(bytes, 8)?);
    let rest = match to {
        // VXLAN (RFC 7348; 8472 is Linux's own port), and the one that says what it carries.
        4789 | 8472 if byte(rest, 0)? & 8 != 0 => ethernet(behind(rest, 8)?, 1),
        4790 => match byte(rest, 3)? {
            1 | 2 => behind(rest, 8),
            _ => ethernet(behind(rest, 8)?, 1),
        },
        // Geneve (RFC 8926 section 3.4).
        6081 => typed(short(rest, 2)?, behind(rest, 8 + usize::from(byte(rest, 0)? & 0x3f) * 4)?, 1),
        2152 => gtp(rest),
        1701 => Err(Unread::Closed("L2TP")),
        _ => Err(Unread::Other("UDP")),
    };
    // IPsec that crosses a NAT (RFC 3948).
    if (from == 4500 || to == 4500) && rest.is_err() { Err(Unread::Closed("IPsec (ESP)")) } else { rest }
}

/// User data of mobile networks (3GPP TS 29.281 section 5).
fn gtp(bytes: &[u8]) -> Result<&[u8], Unread> {
    let flags = byte(bytes, 0)?;
    if byte(bytes, 1)? != 0xff {
        return Err(Unread::Other("GTP control"));
    }
    let mut at = if flags & 7 == 0 { 8 } else { 12 };
    if flags & 4 != 0 {
        for _ in 0..MAX_HEADERS {
            if byte(bytes, at - 1)? == 0 {
                break;
            }
            at += usize::from(byte(bytes, at)?).max(1) * 4;
        }
    }
    behind(bytes, at)
}

/// A data frame of 802.11 (IEEE 802.11 section 9.3.2), if it is not encrypted.
fn wifi(frame: &[u8]) -> Result<&[u8], Unread> {
    let (control, flags) = (byte(frame, 0)?, byte(frame, 1)?);
    if control & 0x0c != 8 || control & 0x40 != 0 {
        return Err(Unread::Other("Wi-Fi control"));
    }
    if flags & 0x40 != 0 {
        return Err(Unread::Closed("encrypted Wi-Fi"));
    }
    let has = |flag: bool, size: usize| if flag { size } else { 0 };
    let quality = control & 0x80 != 0;
    let head = 24 + has(flags & 3 == 3, 6) + has(quality, 2) + has(quality && flags & 0x80 != 0, 4);
    typed(0, behind(frame, head)?, 1)
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, Unread> {
    bytes.get(at).copied().ok_or(Unread::Short)
}

fn short(bytes: &[u8], at: usize) -> Result<u16, Unread> {
    let bytes = bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u16::from_be_bytes).ok_or(Unread::Short)
}

fn behind(bytes: &[u8], at: usize) -> Result<&[u8], Unread> {
    bytes.get(at..).ok_or(Unread::Short)
}
