//! Driver of a six-axis inertial sensor with the registers of the MPU-6050 family, over any
//! embedded-hal I2C bus.

use embedded_hal::i2c::I2c;

/// Address on the bus.
pub const ADDRESS: u8 = 0x68;
/// Register that wakes the sensor.
pub const POWER: u8 = 0x6B;
/// First of 14 registers: acceleration x, y, z, temperature, rotation x, y, z; 16 bits each, high
/// byte first.
pub const MEASUREMENTS: u8 = 0x3B;

/// Number of axes.
pub const AXES: usize = 6;

/// The sensor.
pub struct ImuSensor<I> {
    bus: I,
}

impl<I: I2c> ImuSensor<I> {
    /// Wakes the sensor on this bus.
    pub fn new(mut bus: I) -> Result<ImuSensor<I>, I::Error> {
        bus.write(ADDRESS, &[POWER, 0])?;
        Ok(ImuSensor { bus })
    }

    /// Acceleration and rotation, in the sensor's units.
    pub fn read(&mut self) -> Result<[i16; AXES], I::Error> {
        let mut registers = [0; 14];
        self.bus.write_read(ADDRESS, &[MEASUREMENTS], &mut registers)?;
        let [ax, bx, ay, by, az, bz, _, _, gx, hx, gy, hy, gz, hz] = registers;
        Ok([[ax, bx], [ay, by], [az, bz], [gx, hx], [gy, hy], [gz, hz]].map(i16::from_be_bytes))
    }
}
