// Updates the build before all tests, because the database thread cannot run the sources.
import { build } from '@couplet/testkit/child-server';

export const setup = build;
