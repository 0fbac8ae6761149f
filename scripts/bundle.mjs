// Puts the program together from its sources: dist/cmd/postern/main.js, its parts, and the licences of the packages in
// them; and beside it dist/dev/provider.js, the identity provider of `postern dev`, where its sources are. A start reads a few files instead of a thousand. Nothing is renamed or squeezed: a stack can be read as it is,
// and the maps lead back to the sources.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = `${root}dist/cmd/postern`
const dev = { sources: `${root}emulator/dev/provider.ts`, folder: `${root}dist/dev` }

/**
 * Packages that only some processes need: each is required in the middle of a function, and a file of its own, which
 * nobody reads before.
 */
const later = new Set()
const laterFiles = {
  name: 'later-files',
  transform: {
    filter: { id: { exclude: /node_modules/ }, code: 'createRequire(import.meta.url)' },
    handler: (code) => ({
      code: code.replace(/\brequire\('([\w-]+)'\)/g, (_, name) => {
        later.add(name)
        return `require('../later/${name}.cjs')`
      }),
      map: null,
    }),
  },
}

/** Of each package in the bundle its name and its licence. */
function notices(chunks) {
  const folders = new Set(
    chunks.flatMap(({ moduleIds }) =>
      moduleIds.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id) ?? []),
    ),
  )
  const packages = [...folders].map((at) => {
    const { name, version, license } = JSON.parse(readFileSync(`${at}/package.json`, 'utf8'))
    return [`${name} ${version} (${license})`, ...licences(at)].join('\n\n')
  })
  return packages.sort().join(`\n\n${'-'.repeat(80)}\n\n`)
}

function licences(at) {
  const read = (file) => readFileSync(`${at}/${file}`, 'utf8')
  const files = readdirSync(at)
  const texts = files.filter((file) => /^(?:licen[cs]e|notice|copying)/i.test(file)).map(read)
  if (texts.length > 0) return texts.map((text) => text.trim())
  // Some have it at the end of their README.
  return files
    .filter((file) => /^readme/i.test(file))
    .flatMap((file) => /^(?:#+ *)?licen[cs]e\b.*\n(?:[-=]+\n)?([^]*)/im.exec(read(file))?.[1]?.trim() ?? [])
}

const common = {
  cwd: root,
  platform: 'node',
  // lmdb looks for its native part beside itself; pg takes its native variant only where somebody installed it.
  external: [/^lmdb(?:\/|$)/, /^\.\.\/later\//, 'pg-native'],
  onLog: (level, { message }) => {
    if (level === 'warn') throw new Error(message)
  },
}

/** One character beyond Latin-1 doubles the memory of the whole text. Comments are gone, so that it stands in a literal. */
function latin1(code) {
  return code.replace(/[^\0-\xff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

async function write(input, output) {
  const bundle = await rolldown({ ...common, ...input })
  const { output: files } = await bundle.write({
    sourcemap: true,
    sourcemapExcludeSources: true,
    comments: false,
    ...output,
  })
  await bundle.close()
  const chunks = files.filter(({ type }) => type === 'chunk')
  for (const { fileName, code } of chunks) writeFileSync(`${output.dir}/${fileName}`, latin1(code))
  return chunks
}

rmSync(dirname(folder), { recursive: true, force: true })
const parts = await write(
  { input: { main: `${root}cmd/postern/main.ts` }, tsconfig: `${root}tsconfig.json`, plugins: [laterFiles] },
  { dir: folder, format: 'esm', chunkFileNames: 'parts/[name]-[hash].js' },
)
const packages = await Promise.all(
  [...later].map((name) =>
    write({ input: { [name]: name } }, { dir: `${folder}/later`, format: 'cjs', entryFileNames: '[name].cjs' }),
  ),
)
writeFileSync(`${folder}/NOTICE`, `${notices([parts, packages].flat(2))}\n`)

// The image is built without the emulator.
rmSync(dev.folder, { recursive: true, force: true })
if (existsSync(dev.sources)) {
  const provider = await write(
    {
      input: { provider: dev.sources },
      tsconfig: `${root}tsconfig.json`,
      onLog: (level, log) => {
        // Of depd, which gives functions that are deprecated their length by it.
        if (log.code !== 'EVAL') common.onLog(level, log)
      },
    },
    { dir: dev.folder, format: 'esm', chunkFileNames: 'parts/[name]-[hash].js' },
  )
  writeFileSync(`${dev.folder}/NOTICE`, `${notices(provider)}\n`)
}
