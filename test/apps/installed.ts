/** Applications that tests install from their registries, into a cache outside the repository. Tests only. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

/** With exact versions: the cache is keyed by them. */
export type Packages =
  | { readonly from: 'pypi'; readonly packages: readonly [string, ...string[]] }
  | {
      readonly from: 'npm'
      readonly packages: readonly [string, ...string[]]
      /** As in package.json, for a dependency that names what no registry has. */
      readonly overrides?: Readonly<Record<string, string>>
    }

const CACHE = process.env['POSTERN_APPS'] ?? join(homedir(), '.cache/postern-apps')
const INSTALL_TIMEOUT_MS = 180_000

/** What a suite says of itself, and where its programs are; `bin` is undefined when they could not be installed. */
export interface Installed {
  readonly bin: string | undefined
  /** Name of the suite: says, when it is skipped, which command installs. */
  name(suite: string): string
}

/** Installs unless it is there. A registry that does not answer soon skips the suite. */
export function installed(name: string, wanted: Packages): Installed {
  const folder = join(CACHE, name)
  const command = commandOf(wanted, folder)
  const bin = join(folder, wanted.from === 'pypi' ? 'bin' : 'node_modules/.bin')
  const stamp = join(folder, '.installed')
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== command) {
    try {
      execFileSync('nice', ['sh', '-c', command], { stdio: 'pipe', timeout: INSTALL_TIMEOUT_MS })
      writeFileSync(stamp, command)
    } catch (error) {
      process.stderr.write(`${name} could not be installed: ${String(error)}\n`)
      return skipped(command)
    }
  }
  return { bin, name: (suite) => suite }
}

function commandOf(wanted: Packages, folder: string): string {
  const packages = wanted.packages.map((one) => `'${one}'`).join(' ')
  if (wanted.from === 'pypi')
    return `python3 -m venv ${folder} && ${folder}/bin/pip install --quiet --only-binary :all: --timeout 20 --retries 1 ${packages}`
  const manifest = JSON.stringify({ private: true, overrides: wanted.overrides ?? {} })
  const options = '--ignore-scripts --no-audit --no-fund --loglevel=error --fetch-timeout=20000 --fetch-retries=1'
  const install = `npm install --prefix ${folder} ${options} ${packages}`
  return `mkdir -p ${folder} && echo '${manifest}' >${folder}/package.json && ${install}`
}

/** Programs that a system package brings. */
export function onPath(programs: readonly [string, ...string[]], command: string): Installed {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const missing = programs.filter((program) => !folders.some((folder) => existsSync(join(folder, program))))
  return missing.length === 0 ? { bin: '', name: (suite) => suite } : skipped(command)
}

function skipped(command: string): Installed {
  // Reporters keep the names of skipped suites to themselves.
  process.stderr.write(`skipped; install with: ${command}\n`)
  return { bin: undefined, name: (suite) => `${suite} (skipped; install with: ${command})` }
}
