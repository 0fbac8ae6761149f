import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline/promises'
import { variable } from '../../../src/config/load.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { AppError } from '../../../src/errors.ts'
import type { Io } from '../io.ts'
import { signInProgram, type Way } from '../program-login.ts'
import { printable } from '../text.ts'
import { keepToken } from '../token-cache.ts'

export interface LoginOptions {
  /** Any address of the application. */
  readonly url: string
  /** Print the token instead of keeping it. */
  readonly print: boolean
  /** False: the person opens the address anywhere, and copies the code. */
  readonly browser: boolean
  /** The person enters a code at the identity provider. */
  readonly device: boolean
}

/** Signs this terminal in to one application. Exit code 0, 1 (refused), 2 (no Postern there) or 4 (no answer). */
export async function loginCommand({ url, print, browser, device }: LoginOptions, io: Io): Promise<number> {
  const origin = originOf(url)
  const token = await signInProgram(
    origin,
    device ? byDevice(io) : browser ? byBrowser(io) : byCopy(io),
    io.clock ?? systemClock,
  )
  if (print) io.out(token.token)
  else io.err(printable(`signed in to ${origin}; the token is in ${await keepToken(origin, token, io.env)}`))
  return 0
}

/** Browsers and curl read the host of anything else in different ways: with `https://app\@evil`, curl asks evil. */
const PLAIN = /^https?:\/\/[^\s\\/?#@]+(?:[/?#]|$)/i

/** Of an address of the web; a token is never sent in the clear, but to this machine. */
export function originOf(text: string): string {
  const url = PLAIN.test(text) && URL.canParse(text) ? new URL(text) : undefined
  const local = url && /^(?:localhost|.*\.localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname)
  if (!url || !(url.protocol === 'https:' || (url.protocol === 'http:' && local))) {
    throw new AppError(
      'ERR_USAGE',
      `expected an https address such as https://app.corp.example, found ${JSON.stringify(text)}`,
    )
  }
  return url.origin
}

function byBrowser(io: Io): Way {
  return {
    kind: 'browser',
    open(url) {
      io.err(`Opening the browser. If nothing happens, open this address in it:\n${printable(url)}`)
      const [command, ...args] = opener(variable('BROWSER', io.env))
      // The person has the address: a desktop without a browser is no reason to fail.
      spawn(command, [...args, url], { stdio: 'ignore', detached: true })
        .on('error', () => {})
        .unref()
    },
  }
}

function byCopy(io: Io): Way {
  return {
    kind: 'copy',
    async ask(url) {
      io.err(`Open this address in a browser, on any machine:\n${printable(url)}`)
      const terminal = createInterface({ input: process.stdin, output: process.stderr })
      try {
        return await terminal.question('Code: ')
      } finally {
        terminal.close()
      }
    },
  }
}

function byDevice(io: Io): Way {
  return {
    kind: 'device',
    show: (url, code) =>
      io.err(`Open this address in a browser, on any machine, and enter the code:\n${printable(`${url}   ${code}`)}`),
    wait: (span) => new Promise((resolve) => setTimeout(resolve, span)),
  }
}

function opener(browser: string | undefined): readonly [string, ...string[]] {
  if (browser !== undefined) return [browser]
  switch (process.platform) {
    case 'darwin':
      return ['open']
    case 'win32':
      return ['rundll32', 'url.dll,FileProtocolHandler']
    default:
      return ['xdg-open']
  }
}
