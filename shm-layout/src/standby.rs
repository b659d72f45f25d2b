//! What the supervisor tells a process that stands by: which worker it is from now on.
//!
//! The order comes through a pipe, which is the process's standard input. As long as nothing comes it waits; when the
//! other end closes, because the supervisor has ended or is dead, it ends.

use super::torus::Torus;

/// Bytes of an order; few enough to be written at once or not at all.
pub const ORDER_BYTES: usize = 16;

/// Become the worker of this torus, as this incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The torus.
    pub torus: Torus,
    /// The incarnation.
    pub incarnation: u64,
}

impl Order {
    /// As it is written.
    pub fn to_bytes(self) -> [u8; ORDER_BYTES] {
        let mut bytes = [0; ORDER_BYTES];
        bytes[..8].copy_from_slice(&(self.torus.index() as u64).to_le_bytes());
        bytes[8..].copy_from_slice(&self.incarnation.to_le_bytes());
        bytes
    }

    /// As it was read; none if it names no torus.
    pub fn from_bytes(bytes: &[u8; ORDER_BYTES]) -> Option<Order> {
        let (torus, incarnation) = bytes.split_at(8);
        let torus = u64::from_le_bytes(torus.try_into().ok()?);
        Some(Order {
            torus: Torus::from_index(usize::try_from(torus).ok()?)?,
            incarnation: u64::from_le_bytes(incarnation.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_survives_its_bytes() {
        let order = Order {
            torus: Torus::C,
            incarnation: 1 << 40,
        };
        assert_eq!(Order::from_bytes(&order.to_bytes()), Some(order));
        let mut bytes = order.to_bytes();
        bytes[0] = 3;
        assert_eq!(Order::from_bytes(&bytes), None);
    }
}
