// React's automatic runtime needs no plug-in.
export default { esbuild: { jsx: 'automatic' } }
