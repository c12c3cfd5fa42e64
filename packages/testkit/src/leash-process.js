// Ends what a test has started when the test's own process is gone, however that ended. leash.ts starts and tells it.
const held = new Set();

process.on('message', ({ hold, release }) => {
  if (hold !== undefined) held.add(hold);
  held.delete(release);
});

process.on('disconnect', () => {
  for (const pid of held) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
});
