#!/usr/bin/env node
// Starts the command `couplet`. The program is imported dynamically, because an old Node.js cannot read it.
import './require-node.js';

import('../dist/main.js');
