/** How long a generation lives: it is used while it is in force, and then while exchanges that began in it go on. */
export interface Lifetime {
  /** An exchange begins; each needs one `leave`. */
  enter(): void
  leave(): void
  /** No longer in force. */
  retire(): void
}

export interface Lifetimes {
  /** Runs `end` once, when it is retired and the last exchange has left. A counter, because every request uses it. */
  begin(end: () => void): Lifetime
  /** Begun and not ended. */
  alive(): number
}

export function createLifetimes(): Lifetimes {
  let alive = 0
  return {
    begin(end) {
      alive++
      let exchanges = 0
      let retired = false
      const endUnused = (): void => {
        if (!retired || exchanges > 0) return
        alive--
        end()
      }
      return {
        enter() {
          exchanges++
        },
        leave() {
          exchanges--
          endUnused()
        },
        retire() {
          if (retired) return
          retired = true
          endUnused()
        },
      }
    },
    alive: () => alive,
  }
}
