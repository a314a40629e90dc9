//! The sensor: a BMI160 of Bosch, six axes, by the published driver `bmi160`, on any embedded-hal I2C bus.
//!
//! Another chip is another driver in this file: the application takes six numbers. After [`ImuSensor::new`] the chip
//! takes 80 ms until its first measurement, by its data sheet.

use bmi160::interface::I2cInterface;
use bmi160::{AccelerometerPowerMode, Bmi160, Error, GyroscopePowerMode, SensorSelector, SlaveAddr};
use embedded_hal::i2c::I2c;

/// Number of axes.
pub const AXES: usize = 6;

/// The sensor.
pub struct ImuSensor<I> {
    chip: Bmi160<I2cInterface<I>>,
}

impl<I: I2c> ImuSensor<I> {
    /// Wakes the sensor on this bus.
    pub fn new(bus: I) -> Result<ImuSensor<I>, Error<I::Error>> {
        let mut chip = Bmi160::new_with_i2c(bus, SlaveAddr::default());
        chip.set_accel_power_mode(AccelerometerPowerMode::Normal)?;
        chip.set_gyro_power_mode(GyroscopePowerMode::Normal)?;
        Ok(ImuSensor { chip })
    }

    /// Acceleration and rotation, in the sensor's units.
    pub fn read(&mut self) -> Result<[i16; AXES], Error<I::Error>> {
        let data = self.chip.data(SensorSelector::new().accel().gyro())?;
        let (Some(accel), Some(gyro)) = (data.accel, data.gyro) else { return Err(Error::InvalidInputData) };
        Ok([accel.x, accel.y, accel.z, gyro.x, gyro.y, gyro.z])
    }
}
