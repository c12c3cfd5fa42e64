// The public entry of the package: the command `couplet doctor`, for a program that has arguments and a terminal.
export { DOCTOR_HELP, type DoctorDeps, doctor } from './command.js';
export type { Look } from './report.js';
