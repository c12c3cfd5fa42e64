// Before all tests: brings the build up to date, for the thread of the database, which cannot run the sources.
import { build } from '@couplet/testkit/child-server';

export const setup = build;
