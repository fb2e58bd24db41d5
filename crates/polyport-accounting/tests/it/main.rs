//! Accounting of real answers in all protocols.

mod protocols;
