#!/usr/bin/env node
// Starts the command `couplet`, from the bundle of scripts/command.js. The program is imported dynamically, because an old
// Node.js cannot read it.
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import './require-node.js';

// Node.js 22 keeps compiled code for the next start. It must be as safe from other users as the program, so it is kept
// beside it; if that folder cannot be written, nothing is kept.
if (module.enableCompileCache !== undefined) {
  module.enableCompileCache(fileURLToPath(new URL('../dist/command/.cache', import.meta.url)));
}

import('../dist/command/main.js');
