// Declares the services that nearly every part of the server uses.
import type { Clock } from '../base/clock.js';
import type { Config } from '../settings/config.js';
import type { Logger } from './logger.js';
import type { Metrics } from './metrics.js';

export interface Services {
  config: Config;
  clock: Clock;
  metrics: Metrics;
  log: Logger;
}
