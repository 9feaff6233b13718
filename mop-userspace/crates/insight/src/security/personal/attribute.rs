//! Classes of personal data by the names of attributes, as the contracts of the ecosystem use them.
//!
//! A name says what an attribute is meant for, not what is in it, and some names mean different
//! things in different places: `identification` is the number of a person below `document`, and of
//! an item elsewhere. So the path decides.

use serde::{Deserialize, Serialize};

/// What an attribute tells of a person. Law 13.709/2018 (LGPD), article 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeClass {
    /// Addresses and coordinates.
    Address,
    /// E-mail addresses and telephone numbers.
    Contact,
    /// Numbers of registers and documents.
    Document,
    /// Income, wealth and occupation.
    Financial,
    /// Health; sensitive by article 5, II.
    Health,
    /// Names, birth, parents, sex, civil status.
    Identity,
    /// Vehicles and other things that lead to a person.
    Property,
}

impl AttributeClass {
    /// Every class.
    pub const ALL: [Self; 7] = [
        Self::Address,
        Self::Contact,
        Self::Document,
        Self::Financial,
        Self::Health,
        Self::Identity,
        Self::Property,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Contact => "contact",
            Self::Document => "document",
            Self::Financial => "financial",
            Self::Health => "health",
            Self::Identity => "identity",
            Self::Property => "property",
        }
    }

    /// The class of an attribute, by the names that lead to it, joined by dots.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let mut names = path.rsplit('.');
        let name = names.next().unwrap_or_default().to_ascii_lowercase();
        let parent = names.next().unwrap_or_default().to_ascii_lowercase();
        if AMBIGUOUS.contains(&name.as_str()) {
            return PERSONS.iter().any(|person| parent.contains(person)).then_some(match &*name {
                "name" => Self::Identity,
                "number" => Self::Contact,
                _ => Self::Document,
            });
        }
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, class)| *class)
    }
}

/// Names that mean a person only below one.
const AMBIGUOUS: &[&str] = &["identification", "identificationnumber", "name", "number"];

/// Parts of names of objects that are persons.
const PERSONS: &[&str] = &[
    "beneficiar",
    "businessentity",
    "client",
    "customer",
    "document",
    "driver",
    "holder",
    "insured",
    "intermediar",
    "loggeduser",
    "owner",
    "personal",
    "phone",
    "policyholder",
    "principal",
    "proponent",
    "recipient",
    "representative",
    "subscriber",
];

/// Names in small letters.
const NAMES: &[(&str, AttributeClass)] = &[
    ("additionaladdressinfo", AttributeClass::Address),
    ("address", AttributeClass::Address),
    ("areacode", AttributeClass::Contact),
    ("birthdate", AttributeClass::Identity),
    ("businessname", AttributeClass::Identity),
    ("chassis", AttributeClass::Property),
    ("civilname", AttributeClass::Identity),
    ("civilstatuscode", AttributeClass::Identity),
    ("cnpjcpfnumber", AttributeClass::Document),
    ("cpfcnpjnumber", AttributeClass::Document),
    ("cpfnumber", AttributeClass::Document),
    ("districtname", AttributeClass::Address),
    ("documentnumber", AttributeClass::Document),
    ("email", AttributeClass::Contact),
    ("emails", AttributeClass::Contact),
    ("filiation", AttributeClass::Identity),
    ("gender", AttributeClass::Identity),
    ("informedpatrimony", AttributeClass::Financial),
    ("informedrevenue", AttributeClass::Financial),
    ("ispracticingsports", AttributeClass::Health),
    ("issmoker", AttributeClass::Health),
    ("latitude", AttributeClass::Address),
    ("licenseplate", AttributeClass::Property),
    ("longitude", AttributeClass::Address),
    ("nationality", AttributeClass::Identity),
    ("occupation", AttributeClass::Financial),
    ("occupationcode", AttributeClass::Financial),
    ("patrimony", AttributeClass::Financial),
    ("pepidentification", AttributeClass::Financial),
    ("postaladdresses", AttributeClass::Address),
    ("postcode", AttributeClass::Address),
    ("sex", AttributeClass::Identity),
    ("smoker", AttributeClass::Health),
    ("socialname", AttributeClass::Identity),
    ("townname", AttributeClass::Address),
    ("vehiclelicenseplate", AttributeClass::Property),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_is_above_them_decide() {
        for (path, class) in [
            ("data.loggedUser.document.identification", Some(AttributeClass::Document)),
            ("data.claims.identification", None),
            ("data.insureds.name", Some(AttributeClass::Identity)),
            ("data.products.name", None),
            ("data.beneficiaries.civilName", Some(AttributeClass::Identity)),
            ("cpfNumber", Some(AttributeClass::Document)),
            ("data.contact.phones.number", Some(AttributeClass::Contact)),
            ("data.smoker", Some(AttributeClass::Health)),
            ("", None),
        ] {
            assert_eq!(AttributeClass::of_path(path), class, "{path}");
        }
    }

    #[test]
    fn names_are_in_order_and_in_small_letters() {
        assert!(NAMES.is_sorted_by(|(one, _), (other, _)| one < other));
        assert!(NAMES.iter().all(|(name, _)| *name == name.to_ascii_lowercase()));
    }
}
