//! The blocks of a pcapng file (draft-ietf-opsawg-pcapng), as far as they are written here: section, interface, names,
//! and packets with their comments. Knows octets and lengths only.

use std::net::IpAddr;

use crate::event::Time;

/// The link type of packets that begin with their IP header.
const RAW_IP: u16 = 101;

/// The longest value of an option, in octets; what is longer is cut.
const MAX_VALUE: usize = 16 * 1024;

/// Codes of options; the first one stands in any block.
const COMMENT: u16 = 1;
const PROGRAM: u16 = 4;
const INTERFACE: u16 = 2;
const RESOLUTION: u16 = 9;

/// Appends a section header, with the program that writes it and a comment, and its one interface, whose times are in
/// nanoseconds.
pub fn begin(out: &mut Vec<u8>, program: &str, comment: &str) {
    block(out, 0x0a0d_0d0a, |out| {
        out.extend(0x1a2b_3c4d_u32.to_le_bytes());
        out.extend(1_u16.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        out.extend(u64::MAX.to_le_bytes()); // the section is as long as it gets
        option(out, COMMENT, comment.as_bytes());
        option(out, PROGRAM, program.as_bytes());
        option(out, 0, b"");
    });
    block(out, 1, |out| {
        out.extend(RAW_IP.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        out.extend(0_u32.to_le_bytes()); // nothing is cut
        option(out, INTERFACE, b"imapscope");
        option(out, RESOLUTION, &[9]);
        option(out, 0, b"");
    });
}

/// Appends the name of an address.
pub fn name(out: &mut Vec<u8>, address: IpAddr, name: &str) {
    let name = &name.as_bytes()[..name.len().min(255)];
    block(out, 4, |out| {
        let (kind, octets) = match address {
            IpAddr::V4(address) => (1_u16, address.octets().to_vec()),
            IpAddr::V6(address) => (2, address.octets().to_vec()),
        };
        out.extend(kind.to_le_bytes());
        out.extend(((octets.len() + name.len() + 1) as u16).to_le_bytes());
        out.extend(octets);
        out.extend_from_slice(name);
        out.push(0);
        pad(out);
        out.extend([0; 4]); // no more records
    });
}

/// Appends a packet, given as its headers and what they carry.
pub fn packet(out: &mut Vec<u8>, at: Time, headers: &[u8], payload: &[u8], comments: &[String]) {
    block(out, 6, |out| {
        let len = (headers.len() + payload.len()) as u32;
        out.extend(0_u32.to_le_bytes());
        out.extend(((at.0 >> 32) as u32).to_le_bytes());
        out.extend((at.0 as u32).to_le_bytes());
        out.extend(len.to_le_bytes());
        out.extend(len.to_le_bytes());
        out.extend_from_slice(headers);
        out.extend_from_slice(payload);
        pad(out);
        for comment in comments {
            option(out, COMMENT, comment.as_bytes());
        }
        if !comments.is_empty() {
            option(out, 0, b"");
        }
    });
}

/// Appends a block of this kind around its body, which is padded already.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let len = ((out.len() - start + 4) as u32).to_le_bytes();
    out[start + 4..start + 8].copy_from_slice(&len);
    out.extend(len);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = super::text::start_of(value, MAX_VALUE);
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    out.resize(out.len() + value.len().wrapping_neg() % 4, 0);
}

/// Fills up to a multiple of four octets. Every block begins at one, if the buffer did.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}
