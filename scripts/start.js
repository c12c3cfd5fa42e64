// npm start: installs and builds what a server needs, and starts the server with the rooms API.
import '../packages/server/bin/require-node.js';

import('./run-server.js').then(({ runServer }) => runServer('serve', '--sqlite'));
