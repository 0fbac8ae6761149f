/** How long a generation lives: it is used while it is in force, and then while exchanges that began in it go on. */
export interface Lifetime {
  /** An exchange begins; each needs one `leave`. */
  enter(): void
  leave(): void
  /** No longer in force. */
  retire(): void
}

/** Runs `end` once, when it is retired and the last exchange has left. A counter, because it is used by every request. */
export function createLifetime(end: () => void): Lifetime {
  let exchanges = 0
  let retired = false
  return {
    enter() {
      exchanges++
    },
    leave() {
      exchanges--
      if (retired && exchanges === 0) end()
    },
    retire() {
      if (retired) return
      retired = true
      if (exchanges === 0) end()
    },
  }
}
