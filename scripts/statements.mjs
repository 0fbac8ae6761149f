// What a release says of itself, to standard output; the same bytes each time for one commit.
//   node scripts/statements.mjs sbom                 packages in the product: CycloneDX 1.5, by npm
//   node scripts/statements.mjs provenance FOLDER    of what, and how, the files of FOLDER were made: in-toto, SLSA v1
// Environment: SOURCE_DATE_EPOCH in seconds; for the provenance also IMAGE, IMAGE_ID and SOURCE_URL, which may be empty.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const run = (command, ...args) =>
  execFileSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 }).trim()
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/**
 * npm gives each list an instant and a random number: the commit's instant, and a number from the content, instead.
 * Which packages are of the product is taken from the lockfile: `--omit dev` also omits some that both need.
 */
function sbom() {
  const list = JSON.parse(run('npm', 'sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'))
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const product = new Set(
    Object.entries(packages).flatMap(([path, { dev, version: of }]) =>
      dev === true || path === '' ? [] : [`${path.replace(/^.*node_modules\//, '')}@${of}`],
    ),
  )
  const isOurs = (reference) => product.has(reference) || reference === list.metadata.component['bom-ref']
  list.components = list.components.filter(({ name, version: of }) => product.has(`${name}@${of}`))
  list.dependencies = list.dependencies
    .filter(({ ref }) => isOurs(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(isOurs) }))
  list.metadata.timestamp = new Date(Number(process.env.SOURCE_DATE_EPOCH) * 1000).toISOString()
  list.metadata.component = { ...list.metadata.component, type: 'application', name: 'postern' }
  delete list.serialNumber
  const digits = sha256(JSON.stringify(list)).slice(0, 32)
  const uuid = digits.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-5$3-8$4-$5')
  return { ...list, serialNumber: `urn:uuid:${uuid}` }
}

function provenance(folder) {
  const { IMAGE, IMAGE_ID, SOURCE_URL } = process.env
  const files = readdirSync(folder).filter((file) => !file.startsWith('.') && !file.endsWith('.intoto.json'))
  const bases = [...readFileSync(join(root, 'Dockerfile'), 'utf8').matchAll(/^ARG \w+_IMAGE=(\S+)/gm)]
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [
      ...files.toSorted().map((name) => ({ name, digest: { sha256: sha256(readFileSync(join(folder, name))) } })),
      ...(IMAGE_ID ? [{ name: IMAGE, digest: { sha256: IMAGE_ID.replace(/^sha256:/, '') } }] : []),
    ],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'urn:postern:scripts/image.sh:v1',
        externalParameters: { version, revision: run('git', 'rev-parse', 'HEAD') },
        resolvedDependencies: [
          {
            ...(SOURCE_URL ? { uri: `git+${SOURCE_URL}` } : { name: 'source' }),
            digest: { gitCommit: run('git', 'rev-parse', 'HEAD') },
          },
          { name: 'package-lock.json', digest: { sha256: sha256(readFileSync(join(root, 'package-lock.json'))) } },
          ...bases.map(([, base]) => ({ uri: `docker://${base}` })),
        ],
      },
      runDetails: { builder: { id: process.env.BUILDER_ID ?? 'urn:postern:local' } },
    },
  }
}

const [what, folder] = process.argv.slice(2)
const statements = { sbom, provenance: () => provenance(folder) }
if (!(what in statements) || (what === 'provenance' && folder === undefined)) {
  console.error('usage: node scripts/statements.mjs sbom | provenance FOLDER')
  process.exit(2)
}
console.log(JSON.stringify(statements[what](), null, 2))
