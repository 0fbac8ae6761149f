import { parseArgs } from 'node:util'

/** Where the demo listens and what it keeps. Ports of 0, for all but Postern's own, are any free ones. */
export interface DemoOptions {
  /** Postern's; part of the redirect URIs that the emulator knows. */
  readonly port: number
  readonly oktaPort: number
  readonly engineeringPort: number
  readonly everyonePort: number
  /** Folder of configuration, shared secret and session store. */
  readonly state: string
  /** As `directory.refresh_interval`: `60s`. */
  readonly refreshInterval: string
}

export const USAGE = `npm start -- [--port 8080] [--okta-port 9001] [--engineering-port 9101] [--everyone-port 9102]
             [--state DIR] [--refresh-interval 60s]`

/** @throws Error with the usage for anything else than these options. */
export function demoOptions(args: readonly string[], state: string): DemoOptions {
  const values = read(args)
  return {
    port: toPort('port', values.port ?? '8080'),
    oktaPort: toPort('okta-port', values['okta-port'] ?? '9001'),
    engineeringPort: toPort('engineering-port', values['engineering-port'] ?? '9101'),
    everyonePort: toPort('everyone-port', values['everyone-port'] ?? '9102'),
    state: values.state ?? state,
    refreshInterval: values['refresh-interval'] ?? '60s',
  }
}

function read(args: readonly string[]) {
  const text = { type: 'string' } as const
  const options = {
    port: text,
    'okta-port': text,
    'engineering-port': text,
    'everyone-port': text,
    state: text,
    'refresh-interval': text,
  }
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`, { cause: error })
  }
}

function toPort(name: string, value: string): number {
  const port = Number(value)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new Error(`--${name}: expected a port, found "${value}"\n\n${USAGE}`)
}
