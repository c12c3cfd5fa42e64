// Ends the processes that a test has started after the test's own process has ended in any way. leash.ts starts it.
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
      // It has already ended.
    }
  }
});
