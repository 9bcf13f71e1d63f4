;; Keeps object after object, until no more fit.
(module
  (type $list (struct (field (ref null $list)) (field i64)))
  (global $all (mut (ref null $list)) (ref.null $list))
  (func (export "_start")
    (loop $more
      (global.set $all (struct.new $list (global.get $all) (i64.const 1)))
      (br $more))))
