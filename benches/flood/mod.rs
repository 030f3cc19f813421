//! FETCH responses that look like a server's, the same in every run.

/// A small generator of numbers: the lines are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn word(&mut self, most: usize) -> String {
        (0..1 + self.roll(most)).map(|_| char::from(b'a' + self.roll(26) as u8)).collect()
    }

    fn words(&mut self, most: usize) -> String {
        (0..1 + self.roll(most)).map(|_| self.word(9)).collect::<Vec<_>>().join(" ")
    }

    fn addresses(&mut self) -> String {
        if self.roll(4) == 0 {
            return "NIL".into();
        }
        let one = |dice: &mut Self| {
            let name = if dice.roll(3) == 0 { "NIL".into() } else { format!("\"{}\"", dice.words(3)) };
            format!("({name} NIL \"{}\" \"{}.example.org\")", dice.word(12), dice.word(8))
        };
        let count = 1 + self.roll(2);
        format!("({})", (0..count).map(|_| one(self)).collect::<String>())
    }

    /// A FETCH response of about 800 octets, as a client asks for when it fills its list of messages.
    pub fn line(&mut self) -> Vec<u8> {
        let flags = [r"\Seen", r"\Answered", r"\Flagged", "$Forwarded", "$Junk"];
        let flags: Vec<&str> = flags.into_iter().filter(|_| self.roll(2) == 0).collect();
        let parts: String = (0..1 + self.roll(3))
            .map(|_| {
                format!(
                    "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"{}\") NIL NIL \"BASE64\" {} {} NIL (\"ATTACHMENT\" (\"NAME\" \"{}\")) NIL NIL)",
                    self.word(8),
                    self.roll(100_000),
                    self.roll(1000),
                    self.words(3)
                )
            })
            .collect();
        let people: Vec<String> = (0..6).map(|_| self.addresses()).collect();
        format!(
            "* {} FETCH (UID {} FLAGS ({}) INTERNALDATE \"17-Jul-2024 02:44:25 -0700\" RFC822.SIZE {} ENVELOPE \
             (\"Wed, 17 Jul 2024 02:23:25 -0700\" \"{}\" {} NIL \"<{}@example.org>\") BODYSTRUCTURE ({parts} \"MIXED\" \
             (\"BOUNDARY\" \"{}\") NIL NIL NIL))\r\n",
            self.roll(10_000),
            self.roll(1_000_000),
            flags.join(" "),
            self.roll(10_000_000),
            self.words(12),
            people.join(" "),
            self.word(30),
            self.word(30)
        )
        .into_bytes()
    }
}
