/** Applications that tests install from their registries, into a cache outside the repository. Tests only. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { assertNever } from '../../src/errors.ts'

/** With exact versions: the cache is keyed by them. */
export type Packages =
  | { readonly from: 'pypi'; readonly packages: readonly [string, ...string[]] }
  | {
      readonly from: 'npm'
      readonly packages: readonly [string, ...string[]]
      /** As in package.json, for a dependency that names what no registry has. */
      readonly overrides?: Readonly<Record<string, string>>
    }
  /** What an example of ours names: its requirements.txt, or the folder of its pom.xml or go.mod. */
  | { readonly from: 'requirements'; readonly file: string }
  | { readonly from: 'maven' | 'go'; readonly folder: string }

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
  const bin = join(folder, BINS[wanted.from])
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

/** Java has jars there, Go the built `program`. */
const BINS = { pypi: 'bin', requirements: 'bin', npm: 'node_modules/.bin', maven: 'lib', go: 'bin' } as const

function commandOf(wanted: Packages, folder: string): string {
  switch (wanted.from) {
    case 'pypi':
      return pip(wanted.packages.map((one) => `'${one}'`).join(' '), folder)
    case 'requirements':
      return `${pip(`-r ${wanted.file}`, folder)}${keyOf(wanted.file)}`
    case 'npm': {
      const packages = wanted.packages.map((one) => `'${one}'`).join(' ')
      const manifest = JSON.stringify({ private: true, overrides: wanted.overrides ?? {} })
      const options = '--ignore-scripts --no-audit --no-fund --loglevel=error --fetch-timeout=20000 --fetch-retries=1'
      const install = `npm install --prefix ${folder} ${options} ${packages}`
      return `mkdir -p ${folder} && echo '${manifest}' >${folder}/package.json && ${install}`
    }
    case 'maven': {
      const pom = join(wanted.folder, 'pom.xml')
      const copy = `mvn -q -B -f ${pom} dependency:copy-dependencies -DoutputDirectory=${folder}/lib`
      return `mkdir -p ${folder} && rm -rf ${folder}/lib && ${copy}${keyOf(pom)}`
    }
    case 'go':
      return `cd ${wanted.folder} && go build -buildvcs=false -o ${folder}/bin/program .${keyOf(join(wanted.folder, 'main.go'))}`
    default:
      return assertNever(wanted)
  }
}

function pip(wanted: string, folder: string): string {
  return `python3 -m venv ${folder} && ${folder}/bin/pip install --quiet --only-binary :all: --timeout 20 --retries 1 ${wanted}`
}

/** Another text of the file is another command. */
function keyOf(file: string): string {
  return ` # ${createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16)}`
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
