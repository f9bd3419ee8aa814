/**
 * Makes what looks at how things are now callable at any time: never twice at once, and once more when it was called in
 * the middle. What it rejects with is let go.
 */
export function lookAgain(look: () => Promise<void>): () => void {
  let isLooking = false;
  let again = false;
  return () => {
    again = true;
    if (isLooking) return;
    isLooking = true;
    void (async () => {
      while (again) {
        again = false;
        await look().catch(() => undefined);
      }
      isLooking = false;
    })();
  };
}
