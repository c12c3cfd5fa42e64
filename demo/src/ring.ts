// Makes an incoming call known: by the title of the page, and by a sound.

const EVERY_MS = 2500;
/** The notes of the sound: frequency in Hz, and when it begins, in seconds. */
const NOTES = [
  [660, 0],
  [880, 0.25],
  [660, 0.5],
] as const;
const NOTE_SECONDS = 0.22;
const VOLUME = 0.15;

/** Rings until the returned function is called. */
export function ring(title: string): () => void {
  const before = document.title;
  document.title = title;
  const stopSound = playSound();
  return () => {
    document.title = before;
    stopSound();
  };
}

function playSound(): () => void {
  // Otherwise browsers play nothing, and warn in the console.
  if (!navigator.userActivation?.hasBeenActive) return () => {};
  const audio = new AudioContext();
  const play = () => {
    for (const [hertz, afterSeconds] of NOTES) {
      const at = audio.currentTime + afterSeconds;
      const volume = new GainNode(audio, { gain: 0 });
      // A note that begins or ends at full volume clicks.
      volume.gain.setTargetAtTime(VOLUME, at, 0.01);
      volume.gain.setTargetAtTime(0, at + NOTE_SECONDS / 2, 0.05);
      volume.connect(audio.destination);
      const note = new OscillatorNode(audio, { type: 'triangle', frequency: hertz });
      note.connect(volume);
      note.start(at);
      note.stop(at + NOTE_SECONDS);
    }
  };
  play();
  const timer = setInterval(play, EVERY_MS);
  return () => {
    clearInterval(timer);
    void audio.close();
  };
}
