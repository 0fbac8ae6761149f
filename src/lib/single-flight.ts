/** Runs at most one `run` per key at a time; callers that come meanwhile share its outcome. */
export function createSingleFlight<T>(): (key: string, run: () => Promise<T>) => Promise<T> {
  const flights = new Map<string, Promise<T>>()
  return (key, run) => {
    const flying = flights.get(key)
    if (flying) return flying
    const flight = run().finally(() => flights.delete(key))
    flights.set(key, flight)
    return flight
  }
}
