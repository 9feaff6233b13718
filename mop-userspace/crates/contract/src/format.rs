//! stub
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Int32,
}
impl Format {
    pub fn parse(_: &str) -> Option<Self> {
        None
    }
    pub fn is_of_numbers(&self) -> bool {
        true
    }
    pub fn accepts(self, _: &str) -> bool {
        true
    }
    pub fn accepts_integer(self, _: &str) -> bool {
        true
    }
    pub fn name(self) -> &'static str {
        ""
    }
}
