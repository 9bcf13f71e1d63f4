;; Makes objects for ever and keeps none.
(module
  (type $pair (struct (field i64) (field i64)))
  (func (export "_start") (loop $more (drop (struct.new $pair (i64.const 1) (i64.const 2))) (br $more))))
