// Exports the command `couplet doctor` for programs with arguments and a terminal.
export { DOCTOR_HELP, type DoctorDeps, doctor } from './command.js';
export type { Look } from './report.js';
